import { randomBytes } from 'node:crypto'
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { EMPTY_DIGEST } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { content } from './content.fixture.ts'
import { type BlobStore, type Frames, DEFAULT_SCOPE as scope } from './contracts.ts'
import { ableTo, type Unable } from './nature.contract.ts'
import { readWhole } from './read-whole.ts'

export interface OpenedFrames extends AsyncDisposable {
  readonly blobs: BlobStore
  readonly frames: Frames
}

/** What every store that gives and takes frames keeps to. `open` gives an empty one that compresses. */
export function framesContract(name: string, open: () => Promise<OpenedFrames>, unable: Unable = {}): void {
  const it = ableTo(unable)
  describe(`${name} as Frames`, () => {
    let opened: OpenedFrames
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(() => opened[Symbol.asyncDispose]())

    const frameOf = async (bytes: Uint8Array) => whole(await opened.frames.readFrame(scope, digestOf(bytes)))
    const isKept = async (bytes: Uint8Array) => {
      const found = await readWhole(opened.blobs, scope, digestOf(bytes))
      return found && Buffer.from(found).equals(bytes)
    }

    it.each([5000, 70_000, 1 << 20, 3_500_000])(
      'gives a blob of %i bytes that was written alone as zstd',
      async (size) => {
        const bytes = content(size, size)
        await opened.blobs.write(scope, digestOf(bytes), bytes)
        const frame = (await frameOf(bytes)) as Buffer
        expect(frame.length).toBeLessThan(size)
        expect(zstdDecompressSync(frame).equals(bytes)).toBe(true)
      },
    )

    it('has no frame of a blob that is not there, is empty, does not get smaller, or is of another size', async () => {
      const [gone, random, here] = [content(5000, 1), randomBytes(5000), content(6000, 2)]
      for (const bytes of [random, here]) await opened.blobs.write(scope, digestOf(bytes), bytes)
      for (const bytes of [gone, random, new Uint8Array(0)]) expect(await frameOf(bytes)).toBeUndefined()
      expect(await opened.frames.readFrame(scope, { ...digestOf(here), sizeBytes: 5999 })).toBeUndefined()
    })

    it('gives no frame that holds other blobs too', async () => {
      const blobs = [content(5000, 1), content(5000, 2)]
      await Promise.all(blobs.map((bytes) => opened.blobs.write(scope, digestOf(bytes), bytes)))
      for (const bytes of blobs) {
        const frame = await frameOf(bytes)
        if (frame !== undefined) expect(zstdDecompressSync(frame).equals(bytes)).toBe(true)
      }
    })

    it('keeps a frame as it is', async () => {
      for (const size of [300, 60_000, 1 << 20]) {
        const bytes = content(size, 9)
        const frame = zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 12 } })
        await opened.frames.writeFrame(scope, digestOf(bytes), frame)
        expect(await isKept(bytes)).toBe(true)
        expect((await frameOf(bytes))?.equals(frame)).toBe(true)
      }
    })

    it('keeps the blob of a frame that is larger than it', async () => {
      const bytes = Buffer.from('a')
      await opened.frames.writeFrame(scope, digestOf(bytes), zstdCompressSync(bytes))
      expect(await isKept(bytes)).toBe(true)
    })

    it('takes what it gave: large blobs too, as a stream in pieces of any size', async () => {
      for (const size of [9000, 3 << 20, 3_500_000]) {
        const bytes = content(size, 3)
        await opened.blobs.write(scope, digestOf(bytes), bytes)
        const frame = (await frameOf(bytes)) as Buffer
        await using other = await open()
        await other.frames.writeFrame(scope, digestOf(bytes), pieces(frame, 4099))
        expect((await whole(await other.frames.readFrame(scope, digestOf(bytes))))?.equals(frame)).toBe(true)
        const found = await readWhole(other.blobs, scope, digestOf(bytes))
        expect(Buffer.from(found as Uint8Array).equals(bytes)).toBe(true)
      }
    })

    it('takes any frames: without a size, several in a row, one of a large blob, with a checksum', async () => {
      const small = content(50_000, 4)
      await opened.frames.writeFrame(scope, digestOf(small), await streamed(small))
      expect(await isKept(small)).toBe(true)

      const two = content(40_000, 5)
      const halves = [two.subarray(0, 15_000), two.subarray(15_000)].map((half) => zstdCompressSync(half))
      await opened.frames.writeFrame(scope, digestOf(two), Buffer.concat(halves))
      expect(await isKept(two)).toBe(true)

      const large = content(3_300_000, 6)
      await opened.frames.writeFrame(scope, digestOf(large), zstdCompressSync(large))
      expect(await isKept(large)).toBe(true)
      const unsized = content(3_300_000, 7)
      await opened.frames.writeFrame(scope, digestOf(unsized), pieces(await streamed(unsized), 10_000))
      expect(await isKept(unsized)).toBe(true)
      const odd = content(3_300_000, 8)
      const parts = [odd.subarray(0, 900_000), odd.subarray(900_000, 2_500_000), odd.subarray(2_500_000)]
      await opened.frames.writeFrame(scope, digestOf(odd), Buffer.concat(parts.map((part) => zstdCompressSync(part))))
      expect(await isKept(odd)).toBe(true)

      const checked = content(30_000, 9)
      const params = { [constants.ZSTD_c_checksumFlag]: 1 }
      await opened.frames.writeFrame(scope, digestOf(checked), zstdCompressSync(checked, { params }))
      expect(await isKept(checked)).toBe(true)
    })

    it.each([40_000, 3_300_000])('passes over what a decoder is to skip: a blob of %i bytes', async (size) => {
      const skipped = Buffer.from('502a4d1803000000aabbcc', 'hex')
      const bytes = content(size, 10)
      const halves = [bytes.subarray(0, 20_000), bytes.subarray(20_000)]
      const frames = [zstdCompressSync(halves[0] as Buffer), await streamed(halves[1] as Buffer)]
      const mixed = frames.flatMap((frame) => [skipped, frame])
      await opened.frames.writeFrame(scope, digestOf(bytes), pieces(Buffer.concat([...mixed, skipped]), 1000))
      expect(await isKept(bytes)).toBe(true)
    })

    it.each([20_000, 3_000_000])('reads no more than a blob of %i bytes can need', async (size) => {
      const frame = zstdCompressSync(content(15_000, 1), { pledgedSrcSize: 15_000 })
      let read = 0
      async function* many(): AsyncGenerator<Uint8Array> {
        for (; read < 15_000 * 1000; read += 15_000) yield frame
      }
      const writing = opened.frames.writeFrame(scope, digestOf(content(size, 1)), many())
      await expect(writing).rejects.toMatchObject({ code: 'store.corrupt' })
      expect(read).toBeLessThan(2 * size)
    })

    it('takes the empty blob and keeps nothing', async () => {
      await opened.frames.writeFrame(scope, EMPTY_DIGEST, zstdCompressSync(Buffer.alloc(0)))
      expect(await readWhole(opened.blobs, scope, EMPTY_DIGEST)).toHaveLength(0)
    })

    it.each([20_000, 3_000_000])(
      'refuses frames that are not the blob of %i bytes, and keeps nothing',
      async (size) => {
        const bytes = content(size, 1)
        const digest = digestOf(bytes)
        const frame = zstdCompressSync(bytes)
        const flipped = Buffer.from(frame)
        flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] as number) ^ 0xff
        const wrong = {
          other: zstdCompressSync(content(size, 2)),
          'cut off': frame.subarray(0, -5),
          flipped,
          'no zstd': bytes,
          nothing: new Uint8Array(0),
          'too long': zstdCompressSync(Buffer.alloc(64 << 20)),
          'too short': zstdCompressSync(bytes.subarray(1)),
        }
        for (const [what, frames] of Object.entries(wrong)) {
          const writing = opened.frames.writeFrame(scope, digest, frames)
          await expect(writing, what).rejects.toMatchObject({ code: 'store.corrupt' })
        }
        expect(await opened.blobs.missing(scope, [digest])).toEqual([digest])
      },
    )

    it('keeps nothing that follows after the frames of a small blob', async () => {
      const bytes = content(20_000, 1)
      const more = Buffer.concat([zstdCompressSync(bytes), Buffer.from('what follows')])
      await expect(opened.frames.writeFrame(scope, digestOf(bytes), more)).rejects.toMatchObject({
        code: 'store.corrupt',
      })
    })

    it.each([20_000, 3_000_000])('passes on what the source of %i bytes throws, and closes it', async (size) => {
      const bytes = content(size, 1)
      const frame = zstdCompressSync(bytes)
      let isClosed = false
      async function* failing(): AsyncGenerator<Uint8Array> {
        try {
          yield frame.subarray(0, 100)
          throw new Error('source failed')
        } finally {
          isClosed = true
        }
      }
      await expect(opened.frames.writeFrame(scope, digestOf(bytes), failing())).rejects.toThrow('source failed')
      expect(isClosed).toBe(true)
      expect(await opened.blobs.missing(scope, [digestOf(bytes)])).toHaveLength(1)
    })

    it('closes a source that it refuses midway', async () => {
      let isClosed = false
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield content(1000, 1)
        } finally {
          isClosed = true
        }
      }
      const writing = opened.frames.writeFrame(scope, digestOf(content(20_000, 1)), endless())
      await expect(writing).rejects.toMatchObject({ code: 'store.corrupt' })
      expect(isClosed).toBe(true)
    })

    it('refuses to begin when already aborted', async () => {
      const signal = AbortSignal.abort(new Error('enough'))
      const digest = digestOf(content(10, 1))
      await expect(opened.frames.readFrame(scope, digest, signal)).rejects.toThrow('enough')
      await expect(opened.frames.writeFrame(scope, digest, new Uint8Array(0), signal)).rejects.toThrow('enough')
    })

    it('frees what a reader held that leaves midway or never begins', async () => {
      const bytes = content(4_000_000, 3)
      await opened.blobs.write(scope, digestOf(bytes), bytes)
      {
        await using never = await opened.frames.readFrame(scope, digestOf(bytes))
        expect(never).toBeDefined()
      }
      for await (const _ of (await opened.frames.readFrame(scope, digestOf(bytes))) ?? []) break
      expect(zstdDecompressSync((await frameOf(bytes)) as Buffer).equals(bytes)).toBe(true)
    })
  })
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function streamed(bytes: Uint8Array): Promise<Buffer> {
  const stream = createZstdCompress()
  for (let at = 0; at < bytes.length; at += 10_000) stream.write(bytes.subarray(at, at + 10_000))
  stream.end()
  return (await whole(stream)) as Buffer
}

async function whole(bytes: AsyncIterable<Uint8Array> | undefined): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = []
  for await (const part of bytes ?? []) parts.push(part)
  return bytes && Buffer.concat(parts)
}
