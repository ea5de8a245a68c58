import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../../digest/sha256.ts'
import {
  BatchReadBlobsRequest,
  BatchReadBlobsResponse,
  BatchUpdateBlobsRequest,
  BatchUpdateBlobsResponse,
  Compressor_Value,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ReadRequest, ReadResponse, WriteRequest, WriteResponse } from '../../../proto/google/bytestream/bytestream.ts'
import { content } from '../../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../contracts.ts'
import { type LocalStore, openLocalStore } from '../../local/local-store.ts'
import { temporaryFolder } from '../../local/temporary-store.fixture.ts'
import { readWhole } from '../../read-whole.ts'
import {
  answer,
  begin,
  capabilitiesAs,
  faultyGrpc,
  type Handler,
  PATIENT,
  refuse,
  say,
} from '../fault-servers.fixture.ts'
import { openRemote } from '../open-remote.ts'
import type { RemoteEnd } from '../remote-end.ts'

const ZSTD = [Compressor_Value.ZSTD]
const KNOWS_ZSTD = { supportedCompressors: ZSTD, supportedBatchUpdateCompressors: ZSTD }
const tiny = content(20_000, 1)
const small = content(100_000, 2)
const large = content(3_000_000, 3)

let used: AsyncDisposableStack
beforeEach(() => {
  used = new AsyncDisposableStack()
})
afterEach(() => used.disposeAsync())

type Full = Required<RemoteEnd> & { readonly asked: readonly string[] }

async function faulty(handlers: Readonly<Record<string, Handler>>, can: object = KNOWS_ZSTD): Promise<Full> {
  const server = used.use(
    await faultyGrpc({
      GetCapabilities: capabilitiesAs((all) => ({
        ...all,
        cacheCapabilities: all.cacheCapabilities && { ...all.cacheCapabilities, ...can },
      })),
      ...handlers,
    }),
  )
  const end = used.use(await openRemote(server.address, PATIENT))
  return { ...(end as Required<RemoteEnd>), asked: server.asked }
}

async function nearStore(): Promise<LocalStore> {
  return used.use(await openLocalStore({ dir: temporaryFolder(onTestFinished) }))
}

/** Answers each read with these frames, whatever is asked for. */
function framesOf(frames: Uint8Array): Record<string, Handler> {
  return {
    BatchReadBlobs: (stream, request) => {
      const { digests } = BatchReadBlobsRequest.decode(request)
      const one = { data: Buffer.from(frames), compressor: Compressor_Value.ZSTD, status: undefined }
      const responses = digests.map((digest) => ({ digest, ...one }))
      answer(stream, BatchReadBlobsResponse.encode({ responses }).finish())
    },
    Read: (stream) => {
      begin(stream)
      for (let at = 0; at < frames.length; at += 200_000)
        say(stream, ReadResponse.encode({ data: Buffer.from(frames.subarray(at, at + 200_000)) }).finish())
      stream.end()
    },
  }
}

async function whole(bytes: AsyncIterable<Uint8Array> | undefined): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = []
  for await (const part of bytes ?? []) parts.push(part)
  return bytes && Buffer.concat(parts)
}

describe('frames that a server gives', () => {
  test.each([tiny, small, large])('are read, whole or decompressed, and kept by a store (%#)', async (bytes) => {
    const digest = digestOf(bytes)
    const frame = zstdCompressSync(bytes)
    const { blobs, frames, fetches, asked } = await faulty(framesOf(frame))
    expect(bytes.equals((await readWhole(blobs, scope, digest)) as Uint8Array)).toBe(true)
    expect(zstdDecompressSync((await whole(await frames.readFrame(scope, digest))) as Buffer).equals(bytes)).toBe(true)
    const near = await nearStore()
    expect(await fetches.fetchInto(scope, digest, near)).toBe(true)
    expect(bytes.equals((await readWhole(near.blobs, scope, digest)) as Uint8Array)).toBe(true)
    expect(asked.filter((method) => method.endsWith('Capabilities'))).toHaveLength(1)
  })

  test('come as they are from one store into the other', async () => {
    const params = { [constants.ZSTD_c_compressionLevel]: 12 }
    for (const bytes of [small, large.subarray(0, 1 << 20)]) {
      const frame = zstdCompressSync(bytes, { params })
      const { fetches } = await faulty(framesOf(frame))
      const near = await nearStore()
      await fetches.fetchInto(scope, digestOf(bytes), near)
      expect((await whole(await near.frames.readFrame(scope, digestOf(bytes))))?.equals(frame)).toBe(true)
    }
  })

  test('that hold a blob as it is are no frames, and the store keeps it so', async () => {
    const random = randomBytes(3_000_000)
    const { fetches, frames } = await faulty(framesOf(zstdCompressSync(random)))
    expect(await frames.readFrame(scope, digestOf(random))).toBeUndefined()
    const near = await nearStore()
    expect(await fetches.fetchInto(scope, digestOf(random), near)).toBe(true)
    expect(await near.frames.readFrame(scope, digestOf(random))).toBeUndefined()
    expect(random.equals((await readWhole(near.blobs, scope, digestOf(random))) as Uint8Array)).toBe(true)
  })

  test('that only hold a large blob are left, and the blob itself is asked for', async () => {
    const random = randomBytes(16 << 20)
    const names: string[] = []
    const end = await faulty({
      Read: async (stream, request) => {
        const { resourceName } = ReadRequest.decode(request)
        names.push(resourceName.split('/')[0] ?? '')
        const isFramed = resourceName.startsWith('compressed-blobs')
        begin(stream)
        const bytes = isFramed ? zstdCompressSync(random) : random
        for (let at = 0; at < bytes.length && !stream.destroyed; at += 2 << 20) {
          const data = Buffer.from(bytes.subarray(at, at + (2 << 20)))
          if (!say(stream, ReadResponse.encode({ data }).finish()))
            await Promise.race([once(stream, 'drain'), once(stream, 'close')])
        }
        stream.end()
      },
    })
    expect(random.equals((await readWhole(end.blobs, scope, digestOf(random))) as Uint8Array)).toBe(true)
    const near = await nearStore()
    expect(await end.fetches.fetchInto(scope, digestOf(random), near)).toBe(true)
    expect(random.equals((await readWhole(near.blobs, scope, digestOf(random))) as Uint8Array)).toBe(true)
    expect(names).toEqual(['compressed-blobs', 'blobs', 'compressed-blobs', 'blobs'])
  })

  const damaged = (bytes: Buffer) => {
    const frame = zstdCompressSync(bytes)
    const flipped = Buffer.from(frame)
    flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] as number) ^ 1
    return {
      'other bytes': zstdCompressSync(content(bytes.length, 9)),
      flipped,
      'cut off': frame.subarray(0, -3),
      'no zstd': bytes.subarray(0, 50_000),
      'too much': zstdCompressSync(Buffer.alloc(8 << 20)),
      'too much without a size': UNSIZED,
      'too little': zstdCompressSync(bytes.subarray(1)),
      nothing: Buffer.alloc(0),
      'nothing but what is to be skipped': Buffer.concat([SKIPPED, Buffer.alloc(7_900_000)]),
    }
  }
  const cases = [tiny, small, large].flatMap((bytes) =>
    Object.entries(damaged(bytes)).map(([what, frames]) => ({ what, frames, bytes, size: bytes.length })),
  )
  let near: LocalStore
  let dir: string
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'recue-near-'))
    near = await openLocalStore({ dir })
  })
  afterAll(async () => {
    await near[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true, force: true })
  })
  test.each(cases)('of $size bytes that lie are used by nobody: $what', async ({ frames, bytes }) => {
    const digest = digestOf(bytes)
    const end = await faulty(framesOf(frames))
    const fault = { code: 'store.corrupt', message: expect.stringContaining('grpc://127.0.0.1:') }
    let handedOut = 0
    const reading = async () => {
      for await (const piece of (await end.blobs.read(scope, digest)) ?? []) handedOut += piece.length
    }
    await expect(reading()).rejects.toMatchObject(fault)
    const readingFrames = async () => {
      for await (const piece of (await end.frames.readFrame(scope, digest)) ?? []) handedOut += piece.length
    }
    await expect(readingFrames()).rejects.toMatchObject(fault)
    expect(handedOut).toBe(0)
    await expect(end.fetches.fetchInto(scope, digest, near)).rejects.toMatchObject(fault)
    await expect(end.fetches.fetchInto(scope, digest, { blobs: near.blobs })).rejects.toMatchObject(fault)
    expect(await near.blobs.missing(scope, [digest])).toEqual([digest])
  })

  test('behind more than a blob can need are not waited for', async () => {
    const skipped = Buffer.concat([Buffer.from('502a4d1800008000', 'hex'), Buffer.alloc(8 << 20)])
    const end = await faulty(framesOf(Buffer.concat([skipped, zstdCompressSync(large)])))
    const reading = async () => {
      for await (const _ of (await end.blobs.read(scope, digestOf(large))) ?? []);
    }
    await expect(reading()).rejects.toMatchObject({ code: 'store.corrupt' })
  })

  test('that are no smaller than a blob are not given', async () => {
    const random = randomBytes(5_000)
    const skipped = Buffer.from('502a4d1800000000', 'hex')
    const end = await faulty(framesOf(Buffer.concat([skipped, zstdCompressSync(random)])))
    expect(await end.frames.readFrame(scope, digestOf(random))).toBeUndefined()
  })

  test('are not there where the blob is not', async () => {
    const end = await faulty({ Read: (stream) => refuse(stream, 5), BatchReadBlobs: (stream) => answer(stream, NONE) })
    const near = await nearStore()
    for (const bytes of [tiny, small, large]) {
      expect(await end.frames.readFrame(scope, digestOf(bytes))).toBeUndefined()
      expect(await end.fetches.fetchInto(scope, digestOf(bytes), near)).toBe(false)
      expect(await end.fetches.fetchInto(scope, digestOf(bytes), { blobs: near.blobs })).toBe(false)
    }
  })
})

describe('what is sent', () => {
  /** What came, and in which words. */
  async function taking(can?: object) {
    const came: { readonly name: string; readonly bytes: Buffer }[] = []
    const end = await faulty(
      {
        BatchUpdateBlobs: (stream, request) => {
          const { requests } = BatchUpdateBlobsRequest.decode(request)
          for (const { data, compressor } of requests)
            came.push({ name: compressor === Compressor_Value.ZSTD ? 'batch, zstd' : 'batch', bytes: data })
          const responses = requests.map(({ digest }) => ({ digest, status: undefined }))
          answer(stream, BatchUpdateBlobsResponse.encode({ responses }).finish())
        },
        Write: (stream) => {
          const chunks: Buffer[] = []
          stream.on('data', (chunk: Buffer) => chunks.push(chunk))
          stream.once('end', () => {
            const requests = writesIn(Buffer.concat(chunks))
            const bytes = Buffer.concat(requests.map(({ data }) => data))
            const name = /\/((compressed-)?blobs)\//.exec(requests[0]?.resourceName ?? '')?.[1] ?? ''
            came.push({ name, bytes })
            answer(stream, WriteResponse.encode({ committedSize: bytes.length }).finish())
          })
        },
      },
      can,
    )
    return { end, came }
  }

  test('is compressed where that is taken and saves something', async () => {
    const { end, came } = await taking()
    const random = [randomBytes(100_000), randomBytes(3_000_000)] as const
    for (const bytes of [tiny, small, large, ...random]) await end.blobs.write(scope, digestOf(bytes), bytes)
    expect(came.map(({ name }) => name)).toEqual(['batch', 'batch, zstd', 'compressed-blobs', 'batch', 'blobs'])
    expect(zstdDecompressSync(came[1]?.bytes as Buffer).equals(small)).toBe(true)
    expect(zstdDecompressSync(came[2]?.bytes as Buffer).equals(large)).toBe(true)
  })

  test('as frames stays as it is', async () => {
    const { end, came } = await taking()
    const frames = [tiny, small].map((bytes) => zstdCompressSync(bytes))
    const parts = [large.subarray(0, 1 << 20), large.subarray(1 << 20, 1 << 21), large.subarray(1 << 21)]
    frames.push(Buffer.concat(parts.map((part) => zstdCompressSync(part))))
    for (const [i, bytes] of [tiny, small, large].entries())
      await end.frames.writeFrame(scope, digestOf(bytes), frames[i] as Buffer)
    expect(came.map(({ name }) => name)).toEqual(['batch, zstd', 'batch, zstd', 'compressed-blobs'])
    for (const [i, { bytes }] of came.entries()) expect(bytes.equals(frames[i] as Buffer)).toBe(true)
  })

  test('is never compressed for a server that does not say that it takes it', async () => {
    for (const [can, names] of [
      [{}, ['batch', 'blobs', 'batch', 'blobs']],
      [{ supportedCompressors: ZSTD }, ['batch', 'compressed-blobs', 'batch', 'compressed-blobs']],
    ] as const) {
      const { end, came } = await taking(can)
      for (const bytes of [small, large]) await end.blobs.write(scope, digestOf(bytes), bytes)
      for (const bytes of [small, large]) await end.frames.writeFrame(scope, digestOf(bytes), zstdCompressSync(bytes))
      expect(came.map(({ name }) => name)).toEqual(names)
      expect(came[2]?.bytes.equals(small)).toBe(true)
    }
  })

  test('is not said to be whole where the server kept another size', async () => {
    const end = await faulty({
      Write: (stream) => {
        stream.resume().once('end', () => answer(stream, WriteResponse.encode({ committedSize: 7 }).finish()))
      },
    })
    const writing = end.blobs.write(scope, digestOf(large), large)
    await expect(writing).rejects.toMatchObject({ code: 'remote.failed' })
  })

  test.each([-1, large.length])('is taken for there already where the server says %i', async (committedSize) => {
    const end = await faulty({
      Write: (stream) => answer(stream.resume(), WriteResponse.encode({ committedSize }).finish()),
    })
    await end.blobs.write(scope, digestOf(large), large)
    expect(end.asked).toEqual(['GetCapabilities', 'Write'])
  })
})

test('a server without zstd is asked for none, and has no frames', async () => {
  const names: string[] = []
  const end = await faulty(
    {
      BatchReadBlobs: (stream, request) => {
        const { digests, acceptableCompressors } = BatchReadBlobsRequest.decode(request)
        names.push(acceptableCompressors.join())
        const one = { data: small, compressor: Compressor_Value.IDENTITY, status: undefined }
        const responses = digests.map((digest) => ({ digest, ...one }))
        answer(stream, BatchReadBlobsResponse.encode({ responses }).finish())
      },
      Read: (stream, request) => {
        names.push(ReadRequest.decode(request).resourceName.split('/')[0] ?? '')
        begin(stream)
        say(stream, ReadResponse.encode({ data: large }).finish())
        stream.end()
      },
    },
    {},
  )
  const near = await nearStore()
  for (const bytes of [small, large]) {
    expect(bytes.equals((await readWhole(end.blobs, scope, digestOf(bytes))) as Uint8Array)).toBe(true)
    expect(await end.frames.readFrame(scope, digestOf(bytes))).toBeUndefined()
    expect(await end.fetches.fetchInto(scope, digestOf(bytes), near)).toBe(true)
    expect(bytes.equals((await readWhole(near.blobs, scope, digestOf(bytes))) as Uint8Array)).toBe(true)
  }
  expect(names).toEqual(['0', '0', 'blobs', 'blobs'])
})

test('what came instead of a frame is not asked for again', async () => {
  let calls = 0
  const end = await faulty({
    BatchReadBlobs: (stream, request) => {
      calls++
      const { digests } = BatchReadBlobsRequest.decode(request)
      const one = { data: small, compressor: Compressor_Value.IDENTITY, status: undefined }
      const responses = digests.map((digest) => ({ digest, ...one }))
      answer(stream, BatchReadBlobsResponse.encode({ responses }).finish())
    },
  })
  expect(await end.frames.readFrame(scope, digestOf(small))).toBeUndefined()
  expect(small.equals((await readWhole(end.blobs, scope, digestOf(small))) as Uint8Array)).toBe(true)
  expect(calls).toBe(1)
})

test('blobs of a few hundred bytes are not asked for compressed: that costs more than it saves', async () => {
  let accepted: readonly number[] = []
  const end = await faulty({
    BatchReadBlobs: (stream, request) => {
      accepted = BatchReadBlobsRequest.decode(request).acceptableCompressors
      answer(stream, NONE)
    },
  })
  await readWhole(end.blobs, scope, digestOf(content(300, 1)))
  expect(accepted).toEqual([Compressor_Value.IDENTITY])
  await readWhole(end.blobs, scope, digestOf(tiny))
  expect(accepted).toEqual([Compressor_Value.ZSTD])
})

const NONE = Buffer.alloc(0)
const SKIPPED = Buffer.concat([Buffer.from('502a4d18', 'hex'), Buffer.from([0, 0, 0, 1])])
const UNSIZED = await unsized(8 << 20)

async function unsized(bytes: number): Promise<Buffer> {
  const stream = createZstdCompress()
  stream.write(Buffer.alloc(bytes >> 1))
  stream.end(Buffer.alloc(bytes >> 1))
  return (await whole(stream)) as Buffer
}

function writesIn(bytes: Buffer): WriteRequest[] {
  const found: WriteRequest[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1)
    found.push(WriteRequest.decode(bytes.subarray(at + 5, end)))
    at = end
  }
  return found
}
