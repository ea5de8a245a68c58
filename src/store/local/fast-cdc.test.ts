import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { type ChunkSizes, chunkSizes, fastCdcChunks } from './fast-cdc.ts'
import { GEAR_TABLE } from './gear-table.ts'

/** Akashita by Toriyama Sekien (1776, in the public domain), which the published vectors are of. */
const IMAGE = readFileSync(new URL('./fast-cdc.fixture.jpg', import.meta.url))

/** `fastcdc2020_test_vectors.txt` of the Remote Execution API, seed 0: length and SHA-256 of each chunk. */
const VECTORS = [
  [19186, '0f9efa589121d5d9e9e2c4ace91337d77cae866537143f6f15a0ffd525a77c2d'],
  [19279, 'c7c86a165573c16448cda35c9169742e85645af42be22889f8b96b8ee0ec7cb0'],
  [17354, 'bc88521e28a8b4479cdea5f75aa721a24f3a0a7d0be903aa6d505c574e51e89d'],
  [16387, '4b8dac2652e4685c629d2bb1ae9d4448e676b86f2e67ca0b2fff3d9580184b79'],
  [19940, 'c0a7062da6f2386c28e086ee0cedd5732252741269838773cff1ddb05b2df6ed'],
  [17320, '7fa5b12134dc75cd2ac8dc60d3a8f3c8d22f0ee9d4cf74a4aa937e2a0d2d79a5'],
]

const SMALL = chunkSizes(1024)

it('cuts as the published vectors say', async () => {
  const chunks = await chunksOf(IMAGE, { min: 4096, average: 16384, max: 65535 })
  expect(chunks.map((chunk) => [chunk.length, digestOf(chunk).hash])).toEqual(VECTORS)
})

it('has the gear table that REAPI says how to make', () => {
  const numbers = Array.from({ length: 256 }, (_, byte) =>
    createHash('md5').update(Buffer.alloc(64, byte)).digest().subarray(0, 8),
  )
  expect(Buffer.from(GEAR_TABLE, 'base64').equals(Buffer.concat(numbers))).toBe(true)
})

it('derives the sizes as REAPI does', () => {
  expect(chunkSizes(262_144)).toEqual({ min: 65_536, average: 262_144, max: 1_048_576 })
})

it('cuts anything into chunks within the limits, which are the content again, however it comes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(60_000),
      fc.nat(),
      fc.array(fc.integer({ min: 1, max: 9000 })),
      async (size, seed, steps) => {
        const bytes = content(size, seed)
        const chunks = await chunksOf(bytes, SMALL, steps)
        expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
        expect(chunks.slice(0, -1).every(({ length }) => length >= SMALL.min)).toBe(true)
        expect(chunks.every(({ length }) => length > 0 && length <= SMALL.max)).toBe(true)
        expect(lengths(chunks)).toEqual(lengths(await chunksOf(bytes, SMALL)))
      },
    ),
    { numRuns: 60 },
  )
})

it('looks at nothing but the bytes since the last cut', async () => {
  const bytes = content(200_000, 3)
  const all = await chunksOf(bytes, SMALL)
  const rest = await chunksOf(bytes.subarray((all[0] as Buffer).length + (all[1] as Buffer).length), SMALL)
  expect(lengths(rest)).toEqual(lengths(all.slice(2)))
})

it('has few other chunks after an insertion, whatever it is and wherever', async () => {
  const bytes = content(300_000, 5)
  const before = await chunksOf(bytes, SMALL)
  const known = new Set(before.map((chunk) => digestOf(chunk).hash))
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length), fc.uint8Array({ minLength: 1, maxLength: 500 }), async (at, inserted) => {
      const changed = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)])
      const fresh = (await chunksOf(changed, SMALL)).filter((chunk) => !known.has(digestOf(chunk).hash))
      // A cut is found again after a few chunks, since all that decides are the bytes around it.
      expect(fresh.length).toBeLessThan(25)
      expect(before.length).toBeGreaterThan(200)
    }),
    { numRuns: 40 },
  )
})

it('cuts what has no cuts at the greatest length', async () => {
  expect(lengths(await chunksOf(Buffer.alloc(10_000), SMALL))).toEqual([4096, 4096, 1808])
  expect(await chunksOf(Buffer.alloc(0), SMALL)).toEqual([])
})

it('goes through more than its buffer holds', async () => {
  const bytes = content(20_000_000, 8)
  const sizes = chunkSizes(262_144)
  const chunks = await chunksOf(bytes, sizes, [262_144])
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
  expect(lengths(chunks)).toEqual(lengths(await chunksOf(bytes, sizes, [7_000_001])))
})

it('closes its source when it is left', async () => {
  let isClosed = false
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (let i = 0; ; i++) yield content(5000, i)
    } finally {
      isClosed = true
    }
  }
  for await (const _ of fastCdcChunks(source(), SMALL)) break
  expect(isClosed).toBe(true)
})

/** The content in pieces of the given lengths, over and over; then its chunks, copied. */
async function chunksOf(bytes: Uint8Array, sizes: ChunkSizes, steps: readonly number[] = []): Promise<Buffer[]> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const step = steps[i % steps.length] ?? bytes.length
      yield bytes.subarray(at, at + step)
      at += step
    }
  }
  const chunks: Buffer[] = []
  for await (const chunk of fastCdcChunks(pieces(), sizes)) chunks.push(Buffer.from(chunk))
  return chunks
}

function lengths(chunks: readonly Uint8Array[]): number[] {
  return chunks.map(({ length }) => length)
}
