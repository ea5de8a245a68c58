import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Cache, openCache } from '../../cache.ts'
import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { WriteRequest, WriteResponse } from '../../proto/google/bytestream/bytestream.ts'
import { content } from '../../store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../store/contracts.ts'
import { readWhole } from '../../store/read-whole.ts'
import { Room } from '../room.ts'
import { byteStreamService } from './byte-stream.ts'
import { Called, codeOf } from './called.fixture.ts'
import { type UploadLimits, Uploads } from './uploads.ts'

let dir: string
let cache: Cache
let uploads: Uploads
let called: Called
let faults: unknown[]

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-stream-'))
  cache = await openCache({ cacheDir: dir })
  faults = []
  restart({})
})
afterEach(async () => {
  expect(faults.splice(0)).toEqual([])
  await uploads[Symbol.asyncDispose]()
  await cache.close()
  rmSync(dir, { recursive: true, force: true })
})

const room = new Room(32 << 20)

function restart(limits: Partial<UploadLimits>): void {
  uploads = new Uploads(cache.blobs, limits)
  called = new Called(byteStreamService(cache, { uploads, room, onFault: (error) => faults.push(error) }))
}

const name = ({ hash, sizeBytes }: Digest) => `blobs/${hash}/${sizeBytes}`
const zstdName = ({ hash, sizeBytes }: Digest) => `compressed-blobs/zstd/${hash}/${sizeBytes}`
const upload = (digest: Digest, uuid = 'u1') => `some/instance/uploads/${uuid}/${name(digest)}`
const zstdUpload = (digest: Digest) => `uploads/u1/${zstdName(digest)}`

async function keep(bytes: Uint8Array): Promise<Digest> {
  await cache.blobs.write(scope, digestOf(bytes), bytes)
  return digestOf(bytes)
}

async function read(resourceName: string, readOffset = 0, readLimit = 0): Promise<Buffer> {
  const messages = await called.all<{ data: Buffer }>('/Read', { resourceName, readOffset, readLimit })
  return Buffer.concat(messages.map(({ data }) => data))
}

interface Part {
  readonly from?: number
  readonly to?: number
  readonly step?: number
  readonly finish?: boolean
}

/** Requests that bring the bytes in pieces, the last of which says so. */
function* requests(
  resourceName: string,
  bytes: Uint8Array,
  { from = 0, to = bytes.length, step = 100_000, finish = to === bytes.length }: Part = {},
): Generator<WriteRequest> {
  for (let at = from; ; ) {
    const end = Math.min(at + step, to)
    const data = Buffer.from(bytes.subarray(at, end))
    yield { resourceName: at === from ? resourceName : '', writeOffset: at, data, finishWrite: finish && end === to }
    at = end
    if (at >= to) return
  }
}

async function* sent(...parts: readonly Iterable<WriteRequest>[]): AsyncGenerator<WriteRequest> {
  for (const part of parts) yield* part
}

async function* broken(part: Iterable<WriteRequest>): AsyncGenerator<WriteRequest> {
  yield* part
  throw new GrpcStatus(GrpcCode.CANCELLED, 'The client has gone.')
}

const write = async (stream: AsyncIterable<WriteRequest>) =>
  (await called.one<WriteResponse>('/Write', stream)).committedSize
const status = (resourceName: string) => called.one('/QueryWriteStatus', { resourceName })
const isKept = async (bytes: Uint8Array) => {
  const found = await readWhole(cache.blobs, scope, digestOf(bytes))
  return found && Buffer.from(found).equals(bytes)
}
async function gathered(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
const staged = () => readdirSync(join(dir, 'tmp'))

describe('Read', () => {
  it('gives any part of any blob, in messages that clients take', async () => {
    const blobs = [content(3, 1), content(70_000, 2), content(1_000_000, 3), content(3_300_000, 4)]
    const digests = await Promise.all(blobs.map(keep))
    const part = fc.record({
      which: fc.nat(blobs.length - 1),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      limit: fc.nat(2_000_000),
    })
    await fc.assert(
      fc.asyncProperty(part, async ({ which, from, limit }) => {
        const bytes = blobs[which] as Buffer
        const offset = Math.floor(from * bytes.length)
        const wanted = bytes.subarray(offset, limit === 0 ? undefined : offset + limit)
        expect((await read(name(digests[which] as Digest), offset, limit)).equals(wanted)).toBe(true)
      }),
      { numRuns: 40 },
    )
    const messages = await called.all<{ data: Buffer }>('/Read', {
      resourceName: name(digests[3] as Digest),
      readOffset: 0,
      readLimit: 0,
    })
    expect(Math.max(...messages.map(({ data }) => data.length))).toBeLessThanOrEqual(1 << 20)
    expect(messages.length).toBeLessThan(16)
  })

  it('gives zstd of the rest from any offset, however the blob is stored', async () => {
    const dense = Buffer.concat(
      Array.from({ length: 50_000 }, (_, i) => Buffer.from(digestOf(Buffer.from(`${i}`)).hash, 'hex')),
    )
    const blobs = [content(3, 1), content(300, 5), content(70_000, 2), content(3_300_000, 4), dense]
    for (const bytes of blobs) {
      const digest = await keep(bytes)
      for (const offset of [0, 1, bytes.length >> 1, bytes.length - 1, bytes.length])
        expect(zstdDecompressSync(await read(zstdName(digest), offset)).equals(bytes.subarray(offset))).toBe(true)
    }
  })

  it('passes a stored frame on as it is, and one that was sent', async () => {
    const bytes = content(200_000, 7)
    const frame = zstdCompressSync(bytes, { params: {} })
    await cache.frames.writeFrame(scope, digestOf(bytes), frame)
    expect((await read(zstdName(digestOf(bytes)))).equals(frame)).toBe(true)
    const large = await keep(content(3_000_000, 8))
    const stored = await gathered((await cache.frames.readFrame(scope, large)) ?? [])
    expect((await read(zstdName(large))).equals(stored)).toBe(true)
  })

  it('gives nothing at the end, and the empty blob', async () => {
    const bytes = content(100, 1)
    expect(await read(name(await keep(bytes)), 100)).toHaveLength(0)
    expect(await read(name(EMPTY_DIGEST))).toHaveLength(0)
    expect(zstdDecompressSync(await read(zstdName(EMPTY_DIGEST)))).toHaveLength(0)
  })

  it('says what is wrong', async () => {
    const digest = await keep(content(100, 1))
    const gone = digestOf(content(100, 2))
    const codes = async (resource: string, ...range: [number?, number?]) => codeOf(read(resource, ...range))
    expect(await codes(name(gone))).toBe(GrpcCode.NOT_FOUND)
    expect(await codes(name(gone), 100)).toBe(GrpcCode.NOT_FOUND)
    expect(await codes(zstdName(gone))).toBe(GrpcCode.NOT_FOUND)
    expect(await codes(name({ ...digest, sizeBytes: 99 }))).toBe(GrpcCode.NOT_FOUND)
    expect(await codes(name(digest), 101)).toBe(GrpcCode.OUT_OF_RANGE)
    expect(await codes(name(digest), -1)).toBe(GrpcCode.OUT_OF_RANGE)
    expect(await codes(name(digest), 0, -1)).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(await codes(zstdName(digest), 0, 1)).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(await codes('nonsense')).toBe(GrpcCode.INVALID_ARGUMENT)
  })

  it.each([name, zstdName])('does not find what is damaged on the disk: %o', async (named) => {
    const bytes = content(5_000_000, 1)
    const digest = await keep(bytes)
    const shard = join(dir, 'blobs', digest.hash.slice(0, 2))
    const { writeFileSync, readFileSync } = await import('node:fs')
    const file = join(shard, readdirSync(shard)[0] as string)
    const stored = readFileSync(file)
    stored[stored.length - 100] = (stored[stored.length - 100] as number) ^ 1
    writeFileSync(file, stored)
    expect(await codeOf(read(named(digest)))).toBe(GrpcCode.NOT_FOUND)
    expect(await codeOf(read(named(digest)))).toBe(GrpcCode.NOT_FOUND)
  })

  it('tells a fault of ours as a miss, and us what it was', async () => {
    const fault = new Error('the disk is on fire')
    const readBatch = () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(fault) }) })
    const blobs = { ...cache.blobs, missing: async () => [], read: () => Promise.reject(fault), readBatch }
    const failing = new Called(
      byteStreamService(
        { frames: cache.frames, blobs: blobs as never },
        { uploads, room, onFault: (error) => faults.push(error) },
      ),
    )
    const resourceName = name(digestOf(content(9, 1)))
    // As one message, and as a stream.
    for (const readOffset of [0, 1]) {
      const reading = failing.all('/Read', { resourceName, readOffset, readLimit: 0 })
      await expect(reading).rejects.toMatchObject({ code: GrpcCode.NOT_FOUND })
      expect(faults.splice(0)).toEqual([fault])
    }
  })
})

describe('Write', () => {
  it('keeps a blob, in whatever pieces it comes', async () => {
    const pieces = fc.record({
      size: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1_000_000, max: 2_500_000 })),
      seed: fc.nat(1_000_000),
      step: fc.double({ min: 0.01, max: 1.5, noNaN: true }),
    })
    await fc.assert(
      fc.asyncProperty(pieces, async ({ size, seed, step }) => {
        const bytes = content(size, seed)
        const stream = sent(requests(upload(digestOf(bytes)), bytes, { step: Math.ceil(size * step) }))
        expect(await write(stream)).toBe(size)
        expect(await isKept(bytes)).toBe(true)
      }),
      { numRuns: 25 },
    )
    expect(staged()).toEqual([])
  })

  it.each([2000, 50_000, 1 << 20, (1 << 20) + 1, 3_000_000])(
    'keeps %i bytes that come as zstd in tiny pieces',
    async (size) => {
      const bytes = content(size, 1)
      const frame = zstdCompressSync(bytes)
      const step = size < 100_000 ? 4 : 5000
      expect(await write(sent(requests(zstdUpload(digestOf(bytes)), frame, { step })))).toBe(frame.length)
      expect(await isKept(bytes)).toBe(true)
    },
  )

  it.each([100, 3_000_000])('ends early when %i bytes are there', async (size) => {
    const bytes = content(size, 1)
    const digest = await keep(bytes)
    let isLeft = false
    async function* endless(resourceName: string): AsyncGenerator<WriteRequest> {
      try {
        for (;;) yield { resourceName, writeOffset: 0, data: Buffer.alloc(10), finishWrite: false }
      } finally {
        isLeft = true
      }
    }
    expect(await write(endless(upload(digest)))).toBe(size)
    expect(isLeft).toBe(true)
    expect(await write(endless(zstdUpload(digest)))).toBe(-1)
    expect(await write(sent(requests(upload(EMPTY_DIGEST), new Uint8Array(0))))).toBe(0)
  })

  it.each([100, 3_000_000])('refuses %i bytes that are not the blob, and keeps nothing', async (size) => {
    const bytes = content(size, 1)
    const digest = digestOf(bytes)
    const other = content(size, 2)
    const streams = {
      other: sent(requests(upload(digest), other)),
      'too many': sent(requests(upload(digest), content(size + 1, 1))),
      'too few': sent(requests(upload(digest), bytes.subarray(1))),
      none: sent(requests(upload(digest), new Uint8Array(0))),
      'too far on': sent(requests(upload(digest), bytes, { from: 10 })),
      'before the beginning': sent([{ resourceName: upload(digest), writeOffset: -1, data: bytes, finishWrite: true }]),
      'a gap': sent(requests(upload(digest), bytes, { to: 40 }), requests(upload(digest), bytes, { from: 41 })),
      'twice the same': sent(requests(upload(digest), bytes, { to: 40 }), requests('', bytes, { from: 39 })),
      'another name': sent(
        requests(upload(digest), bytes, { to: 40 }),
        requests(upload(digest, 'u2'), bytes, { from: 40 }),
      ),
      'zstd of another': sent(requests(zstdUpload(digest), zstdCompressSync(other))),
      'zstd of more': sent(requests(zstdUpload(digest), zstdCompressSync(Buffer.alloc(64 << 20)))),
      'no zstd': sent(requests(zstdUpload(digest), bytes)),
      'zstd too far on': sent(requests(zstdUpload(digest), zstdCompressSync(bytes), { from: 1 })),
      'all of it, further on': sent([
        { resourceName: upload(digest), writeOffset: 10, data: bytes, finishWrite: true },
      ]),
      'no request': sent(),
    }
    for (const [what, stream] of Object.entries(streams))
      expect(await codeOf(write(stream)), what).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(await cache.blobs.missing(scope, [digest])).toEqual([digest])
    expect(staged()).toEqual([])
  })

  it.each([100, 3_000_000])('takes no more than the %i bytes that were announced', async (size) => {
    const digest = digestOf(content(size, 1))
    const data = Buffer.alloc(size)
    let asked = 0
    async function* endless(): AsyncGenerator<WriteRequest> {
      for (; asked < 50; asked++)
        yield { resourceName: asked === 0 ? upload(digest) : '', writeOffset: asked * size, data, finishWrite: false }
    }
    expect(await codeOf(write(endless()))).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(asked).toBeLessThan(3)
  })

  it('takes no more of what is compressed than content of that size can need', async () => {
    const digest = digestOf(content(3_000_000, 1))
    const skippable = Buffer.alloc(1 << 20)
    skippable.writeUInt32LE(0x184d2a50, 0)
    skippable.writeUInt32LE(skippable.length - 8, 4)
    let asked = 0
    async function* endless(): AsyncGenerator<WriteRequest> {
      for (; asked < 100; asked++)
        yield { resourceName: '', writeOffset: asked * skippable.length, data: skippable, finishWrite: false }
    }
    const first = { resourceName: zstdUpload(digest), writeOffset: 0, data: Buffer.alloc(0), finishWrite: false }
    async function* stream(): AsyncGenerator<WriteRequest> {
      yield first
      yield* endless()
    }
    expect(await codeOf(write(stream()))).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(asked).toBeLessThan(10)
  })

  it('takes one blob from many at once', async () => {
    const bytes = content(3_000_000, 1)
    const digest = digestOf(bytes)
    const names = Array.from({ length: 8 }, (_, i) => (i % 2 ? upload(digest, `u${i}`) : zstdUpload(digest)))
    const frame = zstdCompressSync(bytes)
    const sizes = await Promise.all(names.map((one, i) => write(sent(requests(one, i % 2 ? bytes : frame)))))
    for (const [i, size] of sizes.entries()) expect(i % 2 ? [3_000_000] : [-1, frame.length]).toContain(size)
    expect(await isKept(bytes)).toBe(true)
    expect(staged()).toEqual([])
  })
})

describe('an upload that broke off', () => {
  const bytes = content(5_000_000, 1)
  const digest = digestOf(bytes)

  it('goes on where it was, as often as it likes', async () => {
    for (const [from, to] of [
      [0, 1_500_000],
      [1_500_000, 2_000_000],
      [1_900_000, 4_999_999],
    ] as const) {
      expect(await codeOf(write(broken(requests(upload(digest), bytes, { from, to }))))).toBe(GrpcCode.CANCELLED)
      expect(await status(upload(digest))).toEqual({ committedSize: to, complete: false })
      expect(await cache.blobs.missing(scope, [digest])).toHaveLength(1)
    }
    expect(staged()).toHaveLength(1)
    expect(await write(sent(requests(upload(digest), bytes, { from: 4_999_999 })))).toBe(5_000_000)
    expect(await isKept(bytes)).toBe(true)
    expect(await status(upload(digest))).toEqual({ committedSize: 5_000_000, complete: true })
    expect(staged()).toEqual([])
  })

  it('may begin again from the first byte', async () => {
    await codeOf(write(broken(requests(upload(digest), bytes, { to: 3_000_000 }))))
    expect(await write(sent(requests(upload(digest), bytes)))).toBe(5_000_000)
    expect(await isKept(bytes)).toBe(true)
  })

  it('says how far it came when the client only stopped', async () => {
    expect(await write(sent(requests(upload(digest), bytes, { to: 3_000_000, finish: false })))).toBe(3_000_000)
    expect(await write(sent(requests(upload(digest), bytes, { from: 3_000_000, finish: false })))).toBe(5_000_000)
    expect(await isKept(bytes)).toBe(true)
    const small = content(1000, 1)
    expect(await write(sent(requests(upload(digestOf(small)), small, { to: 500, finish: false })))).toBe(0)
    expect(await write(sent(requests(zstdUpload(digestOf(small)), zstdCompressSync(small), { finish: false })))).toBe(0)
    expect(await isKept(small)).toBeUndefined()
  })

  it('is not known by another name', async () => {
    await codeOf(write(broken(requests(upload(digest), bytes, { to: 3_000_000 }))))
    const another = upload(digest, 'u2')
    expect(await status(another)).toEqual({ committedSize: 0, complete: false })
    expect(await codeOf(write(sent(requests(another, bytes, { from: 3_000_000 }))))).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(await status(upload(digest))).toEqual({ committedSize: 3_000_000, complete: false })
  })

  it('is taken over from a stream that nobody has noticed to be dead', async () => {
    const hold = Promise.withResolvers<void>()
    const came = Promise.withResolvers<void>()
    async function* hanging(): AsyncGenerator<WriteRequest> {
      yield* requests(upload(digest), bytes, { to: 2_000_000 })
      came.resolve()
      await hold.promise
      yield* requests('', bytes, { from: 2_000_000 })
    }
    const first = codeOf(write(hanging()))
    await came.promise
    expect(await status(upload(digest))).toEqual({ committedSize: 2_000_000, complete: false })
    const taken = codeOf(write(broken(requests(upload(digest), bytes, { from: 1_000_000, to: 3_000_000 }))))
    expect(await taken).toBe(GrpcCode.CANCELLED)
    hold.resolve()
    expect(await first).toBe(GrpcCode.ABORTED)
    expect(await write(sent(requests(upload(digest), bytes, { from: 3_000_000 })))).toBe(5_000_000)
    expect(await isKept(bytes)).toBe(true)
  })

  it('is gone when it turns out to be another blob', async () => {
    await codeOf(write(broken(requests(upload(digest), bytes, { to: 3_000_000 }))))
    const wrong = requests(upload(digest), content(5_000_000, 2), { from: 3_000_000 })
    expect(await codeOf(write(sent(wrong)))).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(await status(upload(digest))).toEqual({ committedSize: 0, complete: false })
    expect(staged()).toEqual([])
  })

  it('is kept neither for long nor without end', async () => {
    const blobs = [1, 2, 3].map((seed) => content(2_000_000, seed))
    const names = blobs.map((one) => upload(digestOf(one)))
    const sizes = async () =>
      (await Promise.all(names.map((one) => status(one) as Promise<WriteResponse>))).map((one) => one.committedSize)
    const breakAll = async () => {
      for (const [i, one] of blobs.entries())
        await codeOf(write(broken(requests(names[i] as string, one, { to: 1_500_000 }))))
    }
    restart({ mostBroken: 2 })
    await breakAll()
    expect(await sizes()).toEqual([0, 1_500_000, 1_500_000])
    await uploads[Symbol.asyncDispose]()
    restart({ mostBrokenBytes: 1_500_000 })
    await breakAll()
    expect(await sizes()).toEqual([0, 0, 1_500_000])
    await uploads[Symbol.asyncDispose]()
    restart({ fewestBytes: 1_500_001 })
    await breakAll()
    expect(await sizes()).toEqual([0, 0, 0])
    restart({ resumableMs: 0 })
    await breakAll()
    await expect.poll(sizes).toEqual([0, 0, 0])
    await expect.poll(staged).toEqual([])
  })

  it('ends with the server', async () => {
    await codeOf(write(broken(requests(upload(digest), bytes, { to: 3_000_000 }))))
    expect(staged()).toHaveLength(1)
    await uploads[Symbol.asyncDispose]()
    expect(staged()).toEqual([])
    expect(await codeOf(write(sent(requests(upload(digest), bytes))))).toBe(GrpcCode.UNAVAILABLE)
  })

  it('lets others have the room of an upload that brings nothing', async () => {
    const narrow = new Called(
      byteStreamService(cache, { uploads, room: new Room(1), onFault: (error) => faults.push(error) }),
    )
    const standing = content(5000, 2)
    const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>()
    async function* slowly() {
      const [first, ...rest] = [...requests(upload(digestOf(standing)), standing, { step: 1000 })]
      yield first as WriteRequest
      await goesOn
      yield* rest
    }
    const slow = narrow.one<WriteResponse>('/Write', slowly())
    const other = content(6000, 3)
    expect(await narrow.one('/Write', sent(requests(upload(digestOf(other)), other)))).toEqual({ committedSize: 6000 })
    goOn()
    expect(await slow).toEqual({ committedSize: 5000 })
  })

  it('tells of what the store refuses, and keeps nothing of it', async () => {
    const small = await openCache({ cacheDir: join(dir, 'readonly') })
    await small.close()
    const readOnly = await openCache({ cacheDir: join(dir, 'readonly'), readOnly: true })
    onTestFinished(() => readOnly.close())
    const there = new Uploads(readOnly.blobs)
    const asked = new Called(
      byteStreamService(readOnly, { uploads: there, room, onFault: (error) => faults.push(error) }),
    )
    await expect(asked.one('/Write', sent(requests(upload(digest), bytes)))).rejects.toMatchObject({
      code: 'store.read-only',
    })
    expect(await asked.one('/QueryWriteStatus', { resourceName: upload(digest) })).toEqual({
      committedSize: 0,
      complete: false,
    })
  })
})
