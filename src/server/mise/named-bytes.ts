import { createHash } from 'node:crypto'
import type { CacheDigest } from './cache-digest.ts'

/** Other bytes than the digest names came. */
export class OtherBytes extends Error {
  constructor() {
    super('the bytes are not those that the digest names')
  }
}

/** Passes bytes on and fails at their end unless they are those that the digest names; as soon as there are too many. */
export async function* namedBytes(
  bytes: AsyncIterable<Uint8Array>,
  { algorithm, hash, size }: CacheDigest,
): AsyncGenerator<Uint8Array> {
  const hasher = algorithm === 'blake3' ? await blake3() : createHash('sha256')
  let seen = 0
  for await (const chunk of bytes) {
    seen += chunk.length
    if (seen > size) throw new OtherBytes()
    hasher.update(chunk)
    yield chunk
  }
  if (seen !== size || hasher.digest('hex') !== hash) throw new OtherBytes()
}

/** Neither runtime has it. Its memory is the module's own, so each stream has a module, of two pages. */
async function blake3(): Promise<{ update(bytes: Uint8Array): unknown; digest(encoding: 'hex'): string }> {
  const { createBLAKE3 } = await import('hash-wasm')
  return (await createBLAKE3()).init()
}
