import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { openLocalStore } from './local-store.ts'
import { keep, temporaryFolder } from './temporary-store.fixture.ts'

test('any part of a blob is what a slice of it is, wherever and however it is stored', async () => {
  await using store = await openLocalStore({ dir: temporaryFolder(onTestFinished) })
  // In the index, alone in a pack, as a record of its own, in a file; compressed and as it is.
  const blobs = [100, 512, 20_000, 65_537, 1 << 20, 2_500_000].flatMap((size) => [
    content(size, size),
    randomBytes(size),
  ])
  for (const bytes of blobs) await keep(store, bytes)
  // With neighbours before and behind.
  const neighbours = Array.from({ length: 20 }, (_, i) => content(9000 + i, 100 + i))
  await Promise.all(neighbours.map((bytes) => store.blobs.write(scope, digestOf(bytes), bytes)))
  blobs.push(...neighbours)

  const part = fc.record({
    bytes: fc.constantFrom(...blobs),
    offset: fc.oneof(fc.nat(600), fc.nat(2_600_000), fc.constantFrom((1 << 20) - 1, 1 << 20, 2 << 20)),
    length: fc.oneof(fc.nat(600), fc.nat(2_600_000), fc.constantFrom(0, 1, 1 << 20)),
  })
  await fc.assert(
    fc.asyncProperty(part, async ({ bytes, offset, length }) => {
      const pieces: Uint8Array[] = []
      for await (const piece of (await store.blobs.read(scope, digestOf(bytes), { offset, length })) ?? []) {
        expect(piece.length).toBeLessThanOrEqual(1 << 20)
        pieces.push(piece)
      }
      expect(Buffer.concat(pieces).equals(bytes.subarray(offset, offset + length))).toBe(true)
    }),
    { numRuns: 300 },
  )
})
