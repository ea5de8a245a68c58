import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { Digest } from './digest.ts'
import { digestOf, streamDigest } from './sha256.ts'
import { type StatIdentity, statIdentity } from './stat-identity.ts'

/** Read in one piece up to this size; measured best between 256 KiB and 4 MiB for both runtimes. */
const CHUNK_BYTES = 1 << 20
let chunk: Buffer | undefined

/**
 * The digest of a regular file, with the identity it had when it was opened. Synchronous: for thousands of small files
 * that is several times faster than promises, and large ones are read in pieces, so memory stays flat.
 * System errors (`ENOENT`, `EACCES`, …) are thrown as they come.
 */
export function digestOfFile(path: string): { digest: Digest; identity: StatIdentity } {
  const file = openSync(path, 'r')
  try {
    const identity = statIdentity(fstatSync(file))
    chunk ??= Buffer.allocUnsafeSlow(CHUNK_BYTES)
    let read = readSync(file, chunk, 0, CHUNK_BYTES, null)
    if (read < CHUNK_BYTES && read === identity.size) return { digest: digestOf(chunk.subarray(0, read)), identity }
    const whole = streamDigest()
    while (read > 0) {
      whole.update(chunk.subarray(0, read))
      read = readSync(file, chunk, 0, CHUNK_BYTES, null)
    }
    return { digest: whole.digest(), identity }
  } finally {
    closeSync(file)
  }
}
