import { constants, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { content } from '../../content.fixture.ts'
import { FrameReader } from './frame-reader.ts'

describe('the frames of zstd data', () => {
  const frame = fc
    .record({ size: fc.oneof(fc.nat(300), fc.nat(200_000)), isZero: fc.boolean(), hasChecksum: fc.boolean() })
    .map(({ size, isZero, hasChecksum }) => {
      const bytes = isZero ? Buffer.alloc(size) : content(size, size)
      const params = { [constants.ZSTD_c_checksumFlag]: hasChecksum ? 1 : 0 }
      return { size, frame: zstdCompressSync(bytes, { params, pledgedSrcSize: size }) }
    })

  it('are found one by one, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 6 }), fc.integer({ min: 1, max: 70_000 }), async (frames, size) => {
        const reader = new FrameReader(pieces(Buffer.concat(frames.map((one) => one.frame)), size))
        for (const { frame, size } of frames) {
          const next = await reader.next(200_000, false)
          expect(next?.contentBytes).toBe(size)
          expect(Buffer.from(next?.bytes ?? []).equals(frame)).toBe(true)
        }
        expect(await reader.next(200_000, false)).toBeUndefined()
      }),
      { numRuns: 50 },
    )
  })

  it('are left for the stream when their content is larger than wanted', async () => {
    const [small, large] = [
      zstdCompressSync(Buffer.alloc(50)),
      zstdCompressSync(content(5000, 1), { pledgedSrcSize: 5000 }),
    ]
    const reader = new FrameReader(pieces(Buffer.concat([small, large, small]), 7))
    expect((await reader.next(100, true))?.bytes).toHaveLength(small.length)
    expect(await reader.next(4999, true)).toEqual({ contentBytes: 5000, bytes: undefined })
    const rest: Uint8Array[] = []
    for await (const piece of reader.rest()) rest.push(Uint8Array.from(piece))
    expect(Buffer.concat(rest).equals(Buffer.concat([large, small]))).toBe(true)
  })

  it('may have others between them that a decoder is to pass over', async () => {
    const frame = zstdCompressSync(content(50, 1), { pledgedSrcSize: 50 })
    const mixed = [skippable(0, 0), skippable(3000, 15), frame, skippable(1, 7), frame, skippable(11, 3)]
    for (const size of [1, 64, 10_000]) {
      const reader = new FrameReader(pieces(Buffer.concat(mixed), size))
      for (let i = 0; i < 2; i++) {
        const next = await reader.next(50, false)
        expect(Buffer.from(next?.bytes ?? []).equals(frame)).toBe(true)
      }
      expect(await reader.next(50, false)).toBeUndefined()
    }
    for (const cut of [skippable(3000, 0).subarray(0, -1), skippable(0, 0).subarray(0, 7)])
      await expect(new FrameReader(pieces(cut, 100)).next(50, true)).rejects.toMatchObject({ code: 'store.corrupt' })
  })

  it('are none when a byte of the end is missing, or what is there is something else', async () => {
    const whole = zstdCompressSync(content(5000, 1), { pledgedSrcSize: 5000 })
    for (const bytes of [whole.subarray(0, -1), whole.subarray(0, 7), Buffer.from('no frame at all, certainly')])
      await expect(new FrameReader(pieces(bytes, 100)).next(10_000, true)).rejects.toMatchObject({
        code: 'store.corrupt',
      })
  })

  it('are refused before they take more memory than such content can need', async () => {
    let given = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      // A header without a size, then raw blocks without end.
      yield Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58])
      const block = Buffer.alloc(3 + 1000)
      block.writeUIntLE(1000 << 3, 0, 3)
      for (;;) {
        given += block.length
        yield block
      }
    }
    await expect(new FrameReader(endless()).next(10_000, true)).rejects.toMatchObject({ code: 'store.corrupt' })
    expect(given).toBeLessThan(20_000)
  })

  it('are refused where a block is of the kind that is reserved', async () => {
    const bytes = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 4, 0b111 | (4 << 3), 0, 0, 1, 2, 3, 4])
    await expect(new FrameReader(pieces(bytes, 100)).next(10, true)).rejects.toMatchObject({ code: 'store.corrupt' })
  })
})

/** RFC 8878, 3.1.2. */
function skippable(bytes: number, kind: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 0x28)
  frame.writeUInt32LE(0x184d2a50 + kind, 0)
  frame.writeUInt32LE(bytes, 4)
  return frame
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  // The one buffer is used again and again, as a reader of files does.
  const buffer = Buffer.alloc(size)
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    buffer.set(piece)
    yield buffer.subarray(0, piece.length)
  }
}
