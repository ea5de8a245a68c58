import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { type Digest, EMPTY_DIGEST } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { content } from './content.fixture.ts'
import { type BlobStore, type Ingest, DEFAULT_SCOPE as scope } from './contracts.ts'
import { ableTo, type Unable } from './nature.contract.ts'
import { readWhole } from './read-whole.ts'

export interface OpenedBlobs extends AsyncDisposable {
  readonly blobs: BlobStore & Ingest
}

/** What every store of blobs keeps to. `open` gives an empty one. */
export function blobStoreContract(name: string, open: () => Promise<OpenedBlobs>, unable: Unable = {}): void {
  const it = ableTo(unable)
  describe(`${name} as a BlobStore`, () => {
    let opened: OpenedBlobs
    let blobs: BlobStore & Ingest
    beforeEach(async () => {
      opened = await open()
      blobs = opened.blobs
    })
    afterEach(() => opened[Symbol.asyncDispose]())

    it('gives back what was written, of any size', async () => {
      const sizes = [1, 100, 511, 512, 513, 32_768, 32_769, 65_536, 100_000, 1 << 20, (1 << 20) + 1, 3_500_000]
      const contents = sizes.map((size) => content(size, size))
      await Promise.all(contents.map((bytes) => blobs.write(scope, digestOf(bytes), bytes)))
      for (const bytes of contents) expect(same(await readWhole(blobs, scope, digestOf(bytes)), bytes)).toBe(true)
    })

    it('gives back what was written, whatever it is', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 30 }), async (contents) => {
          const digests = contents.map(digestOf)
          await Promise.all(contents.map((bytes, i) => blobs.write(scope, digests[i] as Digest, bytes)))
          expect(await blobs.missing(scope, digests)).toEqual([])
          for await (const { index, bytes } of blobs.readBatch(scope, digests))
            expect(same(bytes, contents[index] as Uint8Array)).toBe(true)
        }),
        { numRuns: 30 },
      )
    })

    it('says which blobs are missing, and a miss is a value', async () => {
      const [here, gone] = [content(5000, 1), content(5000, 2)]
      await blobs.write(scope, digestOf(here), here)
      expect(await blobs.missing(scope, [digestOf(gone), digestOf(here)])).toEqual([digestOf(gone)])
      expect(await blobs.read(scope, digestOf(gone))).toBeUndefined()
    })

    it('does not find a blob under its hash with another size', async () => {
      const bytes = content(5000, 1)
      const digest = digestOf(bytes)
      await blobs.write(scope, digest, bytes)
      const other = { ...digest, sizeBytes: 4999 }
      expect(await blobs.missing(scope, [other, digest])).toEqual([other])
      expect(await blobs.read(scope, other)).toBeUndefined()
    })

    it('holds the empty blob without being told', async () => {
      expect(await blobs.missing(scope, [EMPTY_DIGEST])).toEqual([])
      expect(await readWhole(blobs, scope, EMPTY_DIGEST)).toHaveLength(0)
      await blobs.write(scope, EMPTY_DIGEST, new Uint8Array(0))
      for await (const entry of blobs.readBatch(scope, [EMPTY_DIGEST])) expect(entry.bytes).toHaveLength(0)
    })

    it('answers every index of a batch once, also for what is asked twice, missing or large', async () => {
      const contents = [content(100, 1), content(40_000, 2), content(2_000_000, 3), content(700, 4)]
      await Promise.all(contents.map((bytes) => blobs.write(scope, digestOf(bytes), bytes)))
      const asked = [...contents, content(9, 9), contents[0] as Uint8Array, contents[1] as Uint8Array]
      const answers = new Map<number, boolean>()
      for await (const { index, bytes } of blobs.readBatch(scope, asked.map(digestOf))) {
        expect(answers.has(index)).toBe(false)
        answers.set(index, same(bytes, asked[index] as Uint8Array))
      }
      expect([...answers].sort(([a], [b]) => a - b).map(([, isSame]) => isSame)).toEqual([
        true,
        true,
        true,
        true,
        false,
        true,
        true,
      ])
    })

    it.each([3000, 100_000, 5_000_000])('reads any part of a blob of %i bytes', async (size) => {
      const bytes = content(size, 7)
      await blobs.write(scope, digestOf(bytes), bytes)
      const parts = [
        [0, 10],
        [size - 5, 100],
        [size, 1],
        [size + 10, 10],
        [Math.floor(size / 3), Math.floor(size / 2)],
        [0, 0],
      ]
      for (const [offset = 0, length = 0] of parts) {
        const part = await blobs.read(scope, digestOf(bytes), { offset, length })
        expect(same(await whole(part), bytes.subarray(offset, offset + length))).toBe(true)
      }
    })

    it('takes a stream, in one pass, and names it', async () => {
      for (const size of [0, 10, 100_000, 3_000_000]) {
        const bytes = content(size, size + 3)
        expect(await blobs.ingest(scope, chunks(bytes, 65_000))).toEqual(digestOf(bytes))
        expect(same(await readWhole(blobs, scope, digestOf(bytes)), bytes)).toBe(true)
      }
    })

    it('refuses a stream that is not what its digest says, and keeps nothing of it', async () => {
      for (const size of [10, 3_000_000]) {
        const bytes = content(size, 1)
        const other = digestOf(content(size, 2))
        await expect(blobs.write(scope, other, chunks(bytes, 65_000))).rejects.toMatchObject({ code: 'store.corrupt' })
        expect(await blobs.missing(scope, [other])).toEqual([other])
      }
    })

    it('keeps nothing of a source that fails, and closes it', async () => {
      for (const size of [10, 3_000_000]) {
        const bytes = content(size, 5)
        const source = failing(bytes)
        await expect(blobs.ingest(scope, source)).rejects.toThrow('source failed')
        expect(await blobs.missing(scope, [digestOf(bytes)])).toHaveLength(1)
      }
    })

    it('ends a write that is aborted, and closes the source', async () => {
      const control = new AbortController()
      let isClosed = false
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (let i = 0; ; i++) {
            if (i === 40) control.abort(new Error('enough'))
            yield content(65_536, i)
          }
        } finally {
          isClosed = true
        }
      }
      await expect(blobs.ingest(scope, endless(), control.signal)).rejects.toThrow('enough')
      expect(isClosed).toBe(true)
    })

    it('refuses to begin when already aborted', async () => {
      const signal = AbortSignal.abort(new Error('enough'))
      const bytes = content(10, 1)
      await expect(blobs.missing(scope, [], signal)).rejects.toThrow('enough')
      await expect(blobs.read(scope, digestOf(bytes), { signal })).rejects.toThrow('enough')
      await expect(blobs.write(scope, digestOf(bytes), bytes, signal)).rejects.toThrow('enough')
    })

    it('frees what a reader held that leaves midway or never begins', async () => {
      const bytes = content(4_000_000, 3)
      await blobs.write(scope, digestOf(bytes), bytes)
      {
        await using never = await blobs.read(scope, digestOf(bytes))
        expect(never).toBeDefined()
      }
      const read = await blobs.read(scope, digestOf(bytes))
      for await (const _ of read ?? []) break
      for await (const _ of blobs.readBatch(scope, [digestOf(bytes)])) break
      expect(same(await readWhole(blobs, scope, digestOf(bytes)), bytes)).toBe(true)
    })

    it('lets many write the same blob at once', async () => {
      for (const size of [100, 50_000, 2_000_000]) {
        const bytes = content(size, 11)
        const digest = digestOf(bytes)
        await Promise.all([
          blobs.write(scope, digest, bytes),
          blobs.write(scope, digest, chunks(bytes, 1000)),
          blobs.write(scope, digest, bytes),
          blobs.ingest(scope, chunks(bytes, 30_000)),
        ])
        expect(same(await readWhole(blobs, scope, digest), bytes)).toBe(true)
      }
    })

    it('has taken the bytes of a small blob when the write is done: the buffer may be used again', async () => {
      const bytes = content(5000, 1)
      const digest = digestOf(bytes)
      await blobs.write(scope, digest, bytes)
      bytes.fill(0)
      expect(same(await readWhole(blobs, scope, digest), content(5000, 1))).toBe(true)
    })
  })
}

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* chunks(bytes, 50_000)
  throw new Error('source failed')
}

async function whole(bytes: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = []
  for await (const part of bytes ?? []) parts.push(part)
  return bytes && Buffer.concat(parts)
}

/** Megabytes in a failing `toEqual` take minutes to print. */
function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.from(a).equals(b)
}
