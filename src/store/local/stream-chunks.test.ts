import fc from 'fast-check'
import { expect, it } from 'vitest'
import { content } from '../content.fixture.ts'
import { type StreamChunk, streamChunks } from './stream-chunks.ts'

async function* pieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % Math.max(sizes.length, 1)] ?? bytes.length
    yield bytes.subarray(at, at + size)
    at += size
  }
}

it('gives the same bytes in chunks of one size, whatever is freed when', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(
      fc.nat(400),
      sizes,
      fc.integer({ min: 1, max: 60 }),
      fc.nat(4),
      async (size, steps, chunkBytes, held) => {
        const bytes = content(size, size)
        const waiting: StreamChunk[] = []
        const found: Buffer[] = []
        const settle = () => {
          const chunk = waiting.shift() as StreamChunk
          found.push(Buffer.from(chunk.bytes))
          chunk.free()
        }
        for await (const chunk of streamChunks(pieces(bytes, steps), chunkBytes)) {
          waiting.push(chunk)
          if (waiting.length > held) settle()
        }
        while (waiting.length > 0) settle()
        expect(Buffer.concat(found).equals(bytes)).toBe(true)
        for (const chunk of found.slice(0, -1)) expect(chunk).toHaveLength(chunkBytes)
      },
    ),
  )
})

it('takes memory that was freed, also by who left midway', async () => {
  const first = content(100, 1)
  let memory: ArrayBufferLike | undefined
  for await (const { bytes, free } of streamChunks(pieces(first, []), 90)) {
    memory = bytes.buffer
    free()
    break
  }
  for await (const { bytes } of streamChunks(pieces(first, []), 90)) {
    expect(bytes.buffer).toBe(memory)
    break
  }
})
