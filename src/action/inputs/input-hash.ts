import { digestOfFile } from '../../digest/file-digest.ts'
import { isRacy, type StatIdentity } from '../../digest/stat-identity.ts'
import { CacheError } from '../../errors.ts'

export interface HashedFile {
  readonly hash: string
  /** As it was when it was opened; its size is that of what was hashed. Equals no other when it is racy. */
  readonly identity: StatIdentity
}

/** A file that grows while it is read has another length than its identity says. */
const ATTEMPTS = 3

/** Throws system errors as they come, and `input.unreadable` for a file that does not hold still. */
export function hashInput(base: string, path: string): HashedFile {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const takenAtMs = Date.now()
    const { digest, identity } = digestOfFile(base + path)
    if (digest.sizeBytes === identity.size) return { hash: digest.hash, identity: unlessRacy(identity, takenAtMs) }
  }
  throw new CacheError('input.unreadable', `The input ${path} is being written to.`, {
    hint: 'Wait for whatever writes it, or take it out of the inputs.',
    context: { path },
  })
}

/** An identity that cannot tell later changes is made one that equals nothing. */
export function unlessRacy(identity: StatIdentity, takenAtMs: number): StatIdentity {
  return isRacy(identity, takenAtMs) ? { ...identity, mtimeMs: Number.NaN } : identity
}

/** How long signals and timers of others may wait while we hash. */
const TURN_MS = 50

/** Call it between files: now and then it lets others have a turn, and it throws when the signal is aborted. */
export function turnTaker(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < TURN_MS) return undefined
    return new Promise<void>((turn) => void setImmediate(turn)).then(() => {
      signal?.throwIfAborted()
      since = performance.now()
    })
  }
}
