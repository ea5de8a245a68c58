/** A config after validation: what the file says, with nothing added. Plain JSON, so that it can be kept as a compiled copy. */
export interface ConfigDocument {
  readonly $schema?: string
  readonly tasks?: Readonly<Record<string, TaskDocument>>
  /** Settings, by the names of the config. */
  readonly [setting: string]: unknown
}

/** A task as it is written. */
export interface TaskDocument {
  /** A string goes through the shell; a list is a program and its arguments. */
  readonly command?: string | readonly string[]
  readonly inputs?: readonly string[]
  readonly outputs?: readonly string[]
  readonly dependsOn?: readonly string[]
  /** Relative to the root. */
  readonly cwd?: string
  readonly description?: string
  /** Settings for this task alone. */
  readonly [setting: string]: unknown
}

/** The project's config, read and checked. */
export interface Project {
  /** Absolute path of the file it was read from. */
  readonly file: string
  readonly document: ConfigDocument
  readonly tasks: ReadonlyMap<string, TaskDocument>
}
