import { expect, it } from 'vitest'
import { EMPTY_DIGEST } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { content } from './content.fixture.ts'
import { type BlobNames, type BlobStore, DEFAULT_SCOPE as scope } from './contracts.ts'

/** What every store keeps to that finds blobs by their hash alone. `open` gives an empty one. */
export function blobNamesContract(
  name: string,
  open: () => Promise<AsyncDisposable & { readonly blobs: BlobStore; readonly names: BlobNames }>,
): void {
  it(`${name} knows the digest of a blob by its hash`, async () => {
    await using store = await open()
    for (const size of [1, 5000, 2_000_000]) {
      const bytes = content(size, size)
      expect(await store.names.digestOf(scope, digestOf(bytes).hash)).toBeUndefined()
      await store.blobs.write(scope, digestOf(bytes), bytes)
      expect(await store.names.digestOf(scope, digestOf(bytes).hash)).toEqual(digestOf(bytes))
    }
    expect(await store.names.digestOf(scope, EMPTY_DIGEST.hash)).toEqual(EMPTY_DIGEST)
  })
}
