import type { Digest } from './digest.ts'

type Crypto = typeof import('node:crypto')
let loaded: Crypto | undefined

/** `node:crypto` takes 1 to 2 ms to load, which a hit whose inputs are unchanged need not spend. */
function nodeCrypto(): Crypto {
  loaded ??= process.getBuiltinModule('node:crypto')
  return loaded
}

/** SHA-256 in lower-case hex. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return nodeCrypto().hash('sha256', bytes, 'hex')
}

export function digestOf(bytes: Uint8Array): Digest {
  return { hash: sha256Hex(bytes), sizeBytes: bytes.byteLength }
}

/** Digests a stream as it passes: feed every chunk to `update`, then ask once for `digest`. */
export function streamDigest(): { update(chunk: Uint8Array): void; digest(): Digest } {
  const hash = nodeCrypto().createHash('sha256')
  let sizeBytes = 0
  return {
    update(chunk) {
      hash.update(chunk)
      sizeBytes += chunk.byteLength
    },
    digest: () => ({ hash: hash.digest('hex'), sizeBytes }),
  }
}
