import { randomBytes } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { content } from '../../content.fixture.ts'
import { compressionOf, type Encoded } from '../compression.ts'
import type { Codec } from '../segment.ts'
import { FrameReader } from './frame-reader.ts'
import { givenFrames } from './given-frames.ts'

const CHUNK = 4096

/** One that no compression here would make: with a checksum. */
function frameOf(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
}

function unsized(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** As a writer of large blobs does it: in chunks of one size, the first of which says how all are stored. */
async function encoded(frames: readonly Uint8Array[]): Promise<{ whole: Buffer; codec: Codec; chunks: Encoded[] }> {
  const given = givenFrames(new FrameReader(once(Buffer.concat(frames))), CHUNK, compressionOf(1))
  const pieces: Uint8Array[] = []
  const chunks: Encoded[] = []
  let codec: Codec | undefined
  let at = 0
  const encode = async (bytes: Uint8Array) => {
    const chunk = await given.compression.encode(bytes, codec)
    codec ??= chunk.codec
    chunks.push(chunk)
    at += bytes.length
  }
  let length = 0
  for await (const piece of given.content) {
    pieces.push(Uint8Array.from(piece))
    length += piece.length
    // Not at the end, so that frames wait for what comes after them.
    if (length - at >= 2 * CHUNK) await encode(Buffer.concat(pieces).subarray(at, at + CHUNK))
  }
  const whole = Buffer.concat(pieces)
  while (at < length) await encode(whole.subarray(at, at + CHUNK))
  return { whole, codec: codec ?? 'raw', chunks }
}

function expectRight({ whole, codec, chunks }: Awaited<ReturnType<typeof encoded>>): void {
  for (const [number, chunk] of chunks.entries()) {
    expect(chunk.codec).toBe(codec)
    const bytes = codec === 'zstd' ? zstdDecompressSync(chunk.stored) : Buffer.from(chunk.stored)
    expect(bytes.equals(whole.subarray(number * CHUNK, (number + 1) * CHUNK))).toBe(true)
  }
}

test('whatever frames it comes in, each chunk holds its own content, and a frame that is a chunk is kept', async () => {
  const part = fc.record({
    bytes: fc.oneof(fc.constantFrom(0, 1, CHUNK / 2, CHUNK, CHUNK + 1), fc.nat(3 * CHUNK)),
    isDense: fc.boolean(),
    isSized: fc.oneof({ arbitrary: fc.constant(true), weight: 9 }, { arbitrary: fc.constant(false), weight: 1 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 8 }), async (parts) => {
      const contents = parts.map(({ bytes, isDense }, seed) => (isDense ? randomBytes(bytes) : content(bytes, seed)))
      const frames = contents.map((bytes, i) => (parts[i]?.isSized ? frameOf(bytes) : unsized(bytes)))
      const found = await encoded(frames)
      expect(found.whole.equals(Buffer.concat(contents))).toBe(true)
      expectRight(found)
      let start = 0
      for (const [i, frame] of frames.entries()) {
        const { length } = contents[i] as Buffer
        if (!parts[i]?.isSized || length > CHUNK) break
        const isChunk = start % CHUNK === 0 && (length === CHUNK || start + length === found.whole.length)
        if (isChunk && length > 0 && found.codec === 'zstd')
          expect(Buffer.from(found.chunks[start / CHUNK]?.stored ?? []).equals(frame)).toBe(true)
        start += length
      }
    }),
    { numRuns: 200 },
  )
})

const CHUNKS = [1, 2, 3].map((seed) => content(CHUNK, seed)) as [Buffer, Buffer, Buffer]

test('a frame as long as a chunk that begins elsewhere is not taken for it', async () => {
  const found = await encoded([content(1000, 9), ...CHUNKS].map(frameOf))
  expectRight(found)
})

test('where the content is stored as it is, frames are not', async () => {
  const [first, second] = [randomBytes(CHUNK / 2), randomBytes(CHUNK / 2)]
  const found = await encoded([first, second, ...CHUNKS].map(frameOf))
  expect(found.codec).toBe('raw')
  expectRight(found)
})

test('every frame that is a chunk is kept, behind smaller ones too, and a shorter one at the end', async () => {
  const [half, other] = [content(CHUNK / 2, 4), content(CHUNK / 2, 5)]
  const frames = [half, other, ...CHUNKS, content(10, 6)].map(frameOf)
  const found = await encoded(frames)
  expectRight(found)
  for (const [number, chunk] of found.chunks.slice(1).entries())
    expect(Buffer.from(chunk.stored).equals(frames[number + 2] as Buffer)).toBe(true)
})

test('from a frame of more than a chunk on, all is compressed anew', async () => {
  const found = await encoded([content(CHUNK, 1), content(CHUNK + 1, 2), content(CHUNK - 1, 3)].map(frameOf))
  expectRight(found)
  expect(found.chunks).toHaveLength(3)
})

test('memory of a frame’s content goes back once the next is asked for, of other content it stays', async () => {
  const bytes = 256 << 10
  const frames = Buffer.concat([frameOf(content(bytes, 1)), frameOf(content(bytes, 2)), unsized(content(bytes, 3))])
  const given = givenFrames(new FrameReader(once(frames)), bytes, compressionOf(1))
  const pieces: Uint8Array[] = []
  for await (const piece of given.content) {
    expect(piece.length).toBeGreaterThan(0)
    pieces.push(piece)
  }
  const [first, second, ...others] = pieces
  expect([first?.length, second?.length]).toEqual([0, 0])
  expect(Buffer.concat(others).equals(content(bytes, 3))).toBe(true)
})
