/** A size in bytes, or as people write it: `20MB`, `2GiB`. */
type Size = number | string
/** Milliseconds, or as people write it: `90s`, `7d`. */
type Duration = number | string
type Local = 'local:rw' | 'local:r' | 'local:w'
type Remote = 'remote:rw' | 'remote:r' | 'remote:w' | 'remote:off'

/** Settings of the key and of the run: for all, or for one task. */
export interface RunSettings {
  env?: string[]
  passThroughEnv?: string[]
  implicitInputs?: boolean
  gitignore?: boolean
  allowEmpty?: boolean
  allowLinks?: string[]
  normalize?: ('locale' | 'timezone')[]
  platform?: Record<string, string>
  tools?: Record<string, string>
  salt?: string
  cache?: Local | Remote | `${Local},${Remote}` | 'off'
  cacheFailures?: boolean
  clean?: boolean
  timeout?: Duration
  wait?: Duration
  scratch?: string[]
  outputLogs?: 'full' | 'new-only' | 'errors-only' | 'hash-only' | 'none'
}

/** A task of the config. */
export interface TaskConfig extends RunSettings {
  description?: string
  /** A string goes through the shell; a list is a program and its arguments. */
  command?: string | string[]
  inputs?: string[]
  outputs?: string[]
  dependsOn?: string[]
  /** Relative to the root. */
  cwd?: string
}

/** What `recue.config.ts` exports by default. */
export interface Config extends RunSettings {
  $schema?: string
  tasks?: Record<string, TaskConfig>
  cacheDir?: string
  maxCacheSize?: Size
  maxCasSize?: Size
  maxEntries?: number
  minFreeSpace?: Size
  evictionPolicy?: 'gdsf' | 'lfu-da' | 'lru'
  casInlineThreshold?: Size
  ttl?: Duration
  compression?: 'auto' | 'off' | number
  chunking?: 'off' | 'fastcdc'
  hardLink?: boolean
  durability?: 'fast' | 'full'
  remote?: string | string[]
  remoteReplicas?: number
  uploadWait?: Duration
  remoteTimeout?: Duration
  remoteDownload?: 'all' | 'toplevel' | 'none'
  quiet?: boolean
  verbose?: boolean
  concurrency?: number | string
  continue?: boolean
  outputStyle?: 'prefixed' | 'grouped'
}

/** Gives a config its types: `export default defineConfig({ tasks: { … } })`. */
export function defineConfig(config: Config): Config {
  return config
}
