/** `security` of an old task: each member is written, null when unset. */
export interface LegacySecurity {
  readonly restrictDisk?: boolean
  readonly restrictNetwork?: boolean
  readonly readOnlyPaths?: readonly string[]
  readonly readWritePaths?: readonly string[]
  readonly denyPaths?: readonly string[]
  readonly allowedHosts?: readonly string[]
  readonly inferFromInputsOutputs?: boolean
}

/** A task as an old task file declares it. */
export interface LegacyTaskConfig {
  readonly description?: string
  readonly command?: string
  readonly script?: string
  readonly dependencies?: readonly string[]
  readonly workingDir?: string
  readonly shell?: string
  readonly inputs?: readonly string[]
  readonly outputs?: readonly string[]
  readonly security?: LegacySecurity
  /** Nothing is kept or looked up unless it is true. */
  readonly cache?: boolean
  /** Takes the place of the configuration in the key. */
  readonly cacheKey?: string
  /** Seconds. */
  readonly timeout?: number
}

export interface LegacyTask {
  readonly name: string
  /** Goes into the key as it is given. */
  readonly workingDir: string
  readonly config: LegacyTaskConfig
}

/** The JSON of a configuration as it enters keys: every member, in the old order. */
export function configJson({ security, ...config }: LegacyTaskConfig): string {
  return JSON.stringify({
    description: config.description ?? null,
    command: config.command ?? null,
    script: config.script ?? null,
    dependencies: config.dependencies ?? null,
    workingDir: config.workingDir ?? null,
    shell: config.shell ?? null,
    inputs: config.inputs ?? null,
    outputs: config.outputs ?? null,
    security: security === undefined ? null : securityMembers(security),
    cache: config.cache ?? null,
    cacheKey: config.cacheKey ?? null,
    timeout: config.timeout ?? null,
  })
}

function securityMembers(security: LegacySecurity): object {
  return {
    restrictDisk: security.restrictDisk ?? null,
    restrictNetwork: security.restrictNetwork ?? null,
    readOnlyPaths: security.readOnlyPaths ?? null,
    readWritePaths: security.readWritePaths ?? null,
    denyPaths: security.denyPaths ?? null,
    allowedHosts: security.allowedHosts ?? null,
    inferFromInputsOutputs: security.inferFromInputsOutputs ?? null,
  }
}
