import { randomBytes } from 'node:crypto'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { content } from '../../content.fixture.ts'
import { zstdFrames } from './zstd-frames.ts'

test('each frame holds its bytes, however many are made at once', async () => {
  const frames = zstdFrames()
  const size = fc.oneof(fc.nat(2000), fc.nat(300_000))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(size, fc.boolean()), { minLength: 1, maxLength: 30 }), async (wanted) => {
      const blobs = wanted.map(([bytes, isRandom]) => (isRandom ? randomBytes(bytes) : content(bytes, bytes)))
      const made = await Promise.all(blobs.map((bytes) => frames.compress(bytes, 1)))
      for (const [i, frame] of made.entries()) expect(zstdDecompressSync(frame).equals(blobs[i] as Buffer)).toBe(true)
    }),
    { numRuns: 20 },
  )
})

test('a frame that meets the end of a buffer is whole', async () => {
  const frames = zstdFrames()
  // One after the other goes through one stream, whose buffers end within every fourth of these.
  for (let i = 0; i < 20; i++) {
    const bytes = randomBytes(150_000 + i)
    expect(zstdDecompressSync(await frames.compress(bytes, 1)).equals(bytes)).toBe(true)
  }
  const large = randomBytes(3 << 20)
  expect(zstdDecompressSync(await frames.compress(large, 1)).equals(large)).toBe(true)
})

test('a frame says how long its content is, or reading it would take more memory and time', async () => {
  const frame = await zstdFrames().compress(content(100_000, 1), 1)
  // RFC 8878, 3.1.1: one segment, its content size in four bytes.
  expect((frame[4] as number) >> 5).toBe(0b101)
  expect(Buffer.from(frame).readUInt32LE(5)).toBe(100_000)
})

test('a higher level makes smaller frames, also after a lower one', async () => {
  const frames = zstdFrames()
  const bytes = Buffer.from(
    Array.from({ length: 9000 }, (_, i) => `const x${i % 700} = call(${i * i}, 'name')\n`).join(''),
  )
  const [low, high, again] = [
    await frames.compress(bytes, 1),
    await frames.compress(bytes, 19),
    await frames.compress(bytes, 1),
  ]
  expect(high.length).toBeLessThan(low.length * 0.95)
  expect(again.length).toBe(low.length)
})
