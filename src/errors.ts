/**
 * Every code a caller can branch on. `docs/errors.md` is written from this list: what it means, and the exit code of the
 * command that meets it.
 */
export type ErrorCode =
  /** A flag, an argument or a value of one is wrong. */
  | 'usage'
  /** The config cannot be read, parsed or validated. */
  | 'config.invalid'
  /** Tasks depend on each other in a circle. */
  | 'config.cycle'
  /** No task of that name. */
  | 'config.no-task'
  /** A declared input matches nothing. */
  | 'input.no-match'
  /** An input cannot be read. */
  | 'input.unreadable'
  /** An input lies outside the root. */
  | 'input.outside-root'
  /** An output that recue must never own: the root, an input, HOME, … */
  | 'output.refused'
  /** The program of the command is not there (exit 127). */
  | 'command.not-found'
  /** The program of the command may not be executed (exit 126). */
  | 'command.not-executable'
  /** The system has no file handles left to start the command with. */
  | 'command.no-handles'
  /** The same work did not end within the time given to wait for it. */
  | 'wait.timed-out'
  /** The cache folder cannot be used: not ours, not writable, a file, on a network file system. */
  | 'store.unusable'
  /** The cache folder is of a format that this version does not know. */
  | 'store.newer-format'
  /** A write was refused: the store is read-only. */
  | 'store.read-only'
  /** No space is left, on the disk or within the quota. */
  | 'store.full'
  /** A blob or a result is larger than the store ever keeps. */
  | 'store.too-large'
  /** Other processes kept the store busy for longer than a writer waits. */
  | 'store.busy'
  /** An action result names blobs that the store does not have. */
  | 'store.incomplete'
  /** Bytes did not match the digest or checksum they were kept under. */
  | 'store.corrupt'
  /** Nothing is kept under that key. */
  | 'store.no-entry'
  /** A remote cache cannot be reached, or broke off. */
  | 'remote.unreachable'
  /** A remote cache did not answer in time. */
  | 'remote.timed-out'
  /** A remote cache's certificate is not trusted, or it does not trust ours. */
  | 'remote.tls'
  /** A remote cache does not know the token, or does not let it do that. */
  | 'remote.denied'
  /** A checkout named a remote cache that its user has not allowed. */
  | 'remote.untrusted'
  /** What answers is no cache of that protocol, or lacks what is needed. */
  | 'remote.incompatible'
  /** A remote cache was asked rightly, and failed. */
  | 'remote.failed'
  /** An archive to be imported is cut off, damaged, or none. */
  | 'archive.damaged'
  /** A restore could not be carried out; the workspace is as it was, or will be rolled forward. */
  | 'restore.failed'

export interface CacheErrorOptions {
  /** The next thing to do, for a person. */
  readonly hint?: string
  readonly cause?: unknown
  /** Facts for a program: paths, digests, limits. Never values of environment variables. */
  readonly context?: Readonly<Record<string, string | number | boolean>>
}

const brand = Symbol.for('recue.CacheError')

/** The one error of recue: a stable `code` to branch on, a message in the user's words, a hint at what to do next. */
export class CacheError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly context: Readonly<Record<string, string | number | boolean>>

  constructor(code: ErrorCode, message: string, options: CacheErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CacheError'
    this.code = code
    this.hint = options.hint
    this.context = options.context ?? {}
  }

  get [brand](): true {
    return true
  }
}

/** True for a {@link CacheError} of any copy of recue in the process; `instanceof` fails across copies. */
export function isCacheError(error: unknown): error is CacheError {
  return typeof error === 'object' && error !== null && brand in error
}

/** The `code` of a Node system error (`ENOENT`, …), or undefined. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** For the `default` of a switch over a union: does not compile while a member is unhandled. */
export function never(value: never): never {
  throw new Error(`unhandled: ${JSON.stringify(value)}`)
}
