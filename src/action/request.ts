/** Which files are the inputs of an action. */
export interface InputSelection {
  /**
   * Paths and globs relative to the working directory; a folder means all in it, `!` takes away, the last match
   * decides. Undefined: the files that git tracks and the untracked ones it does not ignore (without git: all that
   * `.gitignore` files leave), less the outputs.
   */
  readonly patterns: readonly string[] | undefined
  /** Leave out what the repository's `.gitignore` files name, unless a pattern names it outright. */
  readonly gitignore: boolean
  /** A pattern that matches nothing is fine. */
  readonly allowEmpty: boolean
  /** Links that may be absolute or leave the root: paths relative to the working directory. */
  readonly allowLinks: readonly string[]
  /** Add package.json, lockfiles and the package manager's installed state from the working directory up to the root. */
  readonly implicit: boolean
}

/** Which environment variables the command gets, beside those every command gets (see `environment.ts`). */
export interface EnvironmentSelection {
  /** Where values come from: `process.env` of the caller. */
  readonly source: Readonly<Record<string, string | undefined>>
  /** Names or patterns (`VITE_*`): passed, and in the key. */
  readonly keyed: readonly string[]
  /** Names or patterns: passed, not in the key. */
  readonly passed: readonly string[]
  /** `locale`: the child gets C.UTF-8; `timezone`: UTC. */
  readonly normalize: readonly ('locale' | 'timezone')[]
}

/** Work to be done, as it is asked for: everything that may be part of its key. */
export interface ActionRequest {
  /** The program and its arguments, as given; not empty. */
  readonly argv: readonly string[]
  /** Absolute real path of the folder that everything in the key is relative to. */
  readonly root: string
  /** Relative to the root, `/` between names; empty for the root itself. */
  readonly workingDirectory: string
  readonly inputs: InputSelection
  /** Files, directories or globs relative to the working directory. */
  readonly outputs: readonly string[]
  readonly environment: EnvironmentSelection
  /** Program name → a shell command whose output stands for the program's content in the key. */
  readonly tools: Readonly<Record<string, string>>
  /** Further platform properties. */
  readonly platform: Readonly<Record<string, string>>
  readonly salt: string
  /** The task's definition as canonical JSON; empty for a command line. */
  readonly definition: string
  /** Read whole into the key and given to the command; undefined: standard input is empty. */
  readonly stdin: Uint8Array | undefined
}
