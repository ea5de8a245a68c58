import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cache, openCache } from '../../cache.ts'
import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { GrpcCode } from '../../grpc/status.ts'
import {
  type BatchReadBlobsResponse,
  type BatchUpdateBlobsResponse,
  ChunkingFunction_Value,
  Compressor_Value,
  DigestFunction_Value,
  type FindMissingBlobsResponse,
  type SpliceBlobResponse,
  type SplitBlobResponse,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { content } from '../../store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../store/contracts.ts'
import { readWhole } from '../../store/read-whole.ts'
import { Called, codeOf } from './called.fixture.ts'
import { casService } from './cas.ts'
import { AVERAGE_CHUNK_BYTES, MAX_BATCH_BYTES } from './limits.ts'

let dir: string
let cache: Cache
let called: Called
let faults: unknown[]

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-cas-'))
  await open()
})
afterEach(async () => {
  expect(faults.splice(0)).toEqual([])
  await cache.close()
  rmSync(dir, { recursive: true, force: true })
})

async function open(options: Parameters<typeof openCache>[0] = {}): Promise<void> {
  cache = await openCache({ cacheDir: dir, ...options })
  faults = []
  called = new Called(casService(cache, { onFault: (error) => faults.push(error) }))
}

function withBlobs(blobs: Partial<Cache['blobs']>): Called {
  const { missing, read, readBatch, write, ingest } = cache.blobs
  const bound = Object.fromEntries(
    Object.entries({ missing, read, readBatch, write, ingest }).map(([name, method]) => [
      name,
      method.bind(cache.blobs as never),
    ]),
  ) as unknown as Cache['blobs']
  return new Called(casService({ ...cache, blobs: { ...bound, ...blobs } }, { onFault: (error) => faults.push(error) }))
}

async function keep(bytes: Uint8Array): Promise<Digest> {
  await cache.blobs.write(scope, digestOf(bytes), bytes)
  return digestOf(bytes)
}
async function isKept(bytes: Uint8Array): Promise<boolean> {
  const found = await readWhole(cache.blobs, scope, digestOf(bytes))
  return found !== undefined && Buffer.from(found).equals(bytes)
}
const request = { instanceName: 'some/instance', digestFunction: DigestFunction_Value.UNKNOWN }
const MALFORMED = [
  undefined,
  { hash: 'ab', sizeBytes: 1 },
  { hash: EMPTY_DIGEST.hash.toUpperCase(), sizeBytes: 1 },
  { ...digestOf(content(5, 1)), sizeBytes: -1 },
  { ...digestOf(content(5, 1)), sizeBytes: 0 },
]

describe('FindMissingBlobs', () => {
  const find = async (blobDigests: readonly (Digest | undefined)[], more = {}) =>
    (await called.one<FindMissingBlobsResponse>('/FindMissingBlobs', { ...request, blobDigests, ...more }))
      .missingBlobDigests

  it('says exactly which are missing, each once, never the empty one', async () => {
    const blobs = Array.from({ length: 12 }, (_, i) => content(100 + i, i))
    await Promise.all(blobs.slice(0, 6).map(keep))
    const { hash } = digestOf(blobs[0] as Buffer)
    const gone = [...blobs.slice(6).map(digestOf), { hash, sizeBytes: 98 }, { hash, sizeBytes: 99 }]
    const all = [...blobs.slice(0, 6).map(digestOf), EMPTY_DIGEST, ...gone]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(all.length - 1), { maxLength: 40 }), async (which) => {
        const asked = which.map((i) => all[i] as Digest)
        expect(await find(asked)).toEqual([...new Set(asked)].filter((digest) => gone.includes(digest)))
      }),
      { numRuns: 30 },
    )
  })

  it('answers for thousands at once', async () => {
    const digests = Array.from({ length: 12_000 }, (_, i) => digestOf(Buffer.from(`${i}`)))
    await keep(Buffer.from('7'))
    expect(await find(digests)).toEqual(digests.filter((_, i) => i !== 7))
  })

  it('refuses what is no digest, and other functions', async () => {
    for (const wrong of MALFORMED) expect(await codeOf(find([EMPTY_DIGEST, wrong]))).toBe(GrpcCode.INVALID_ARGUMENT)
    const blake = find([EMPTY_DIGEST], { digestFunction: DigestFunction_Value.BLAKE3 })
    await expect(blake).rejects.toMatchObject({
      code: GrpcCode.INVALID_ARGUMENT,
      message: expect.stringMatching(/BLAKE3/),
    })
    expect(await find([], { digestFunction: DigestFunction_Value.SHA256 })).toEqual([])
  })
})

describe('BatchUpdateBlobs', () => {
  type Item = { digest: Digest | undefined; data: Uint8Array; compressor?: number }
  const update = async (items: readonly Item[], on = called) => {
    const requests = items.map((item) => ({ compressor: Compressor_Value.IDENTITY, ...item }))
    const { responses } = await on.one<BatchUpdateBlobsResponse>('/BatchUpdateBlobs', { ...request, requests })
    expect(responses.map(({ digest }) => digest)).toEqual(items.map(({ digest }) => digest))
    return responses.map(({ status }) => status?.code)
  }
  const plain = (data: Uint8Array): Item => ({ digest: digestOf(data), data })
  const zstd = (bytes: Uint8Array): Item => ({
    digest: digestOf(bytes),
    data: zstdCompressSync(bytes),
    compressor: Compressor_Value.ZSTD,
  })

  it('keeps blobs of any kind, in one call or in many at once', async () => {
    const blobs = [1, 500, 40_000, 300_000, 1_500_000].map((size) => content(size, size))
    expect(await update([...blobs.map(plain), ...blobs.map(plain), plain(new Uint8Array(0))])).toEqual(
      Array(11).fill(0),
    )
    for (const bytes of blobs) expect(await isKept(bytes)).toBe(true)
    const others = [1, 500, 40_000, 300_000, 1_500_000, 10_000_000].map((size) => content(size, size + 1))
    await Promise.all(
      [1, 2, 3].map(async () => expect(await update(others.slice(0, 5).map(zstd))).toEqual(Array(5).fill(0))),
    )
    expect(await update([{ ...zstd(Buffer.alloc(50_000_000)) }, zstd(new Uint8Array(0))])).toEqual([0, 0])
    for (const bytes of others.slice(0, 5)) expect(await isKept(bytes)).toBe(true)
  })

  it('refuses those that are wrong, and keeps the others', async () => {
    const [good, bad] = [content(5000, 1), content(5000, 2)]
    const { hash, sizeBytes } = digestOf(bad)
    const bomb = zstdCompressSync(Buffer.alloc(100 << 20))
    const wrong: Item[] = [
      { digest: digestOf(bad), data: content(5000, 3) },
      { digest: { hash, sizeBytes: sizeBytes - 1 }, data: bad },
      { digest: { hash, sizeBytes: sizeBytes + 1 }, data: bad },
      { digest: digestOf(bad), data: new Uint8Array(0) },
      { digest: { hash, sizeBytes: 0 }, data: new Uint8Array(0) },
      { digest: EMPTY_DIGEST, data: bad },
      { digest: digestOf(bad), data: bomb, compressor: Compressor_Value.ZSTD },
      { digest: { hash, sizeBytes: 2_000_000 }, data: bomb, compressor: Compressor_Value.ZSTD },
      { digest: digestOf(bad), data: bad, compressor: Compressor_Value.ZSTD },
      { digest: digestOf(bad), data: zstdCompressSync(bad).subarray(1), compressor: Compressor_Value.ZSTD },
      { digest: { hash, sizeBytes: sizeBytes - 1 }, data: zstdCompressSync(bad), compressor: Compressor_Value.ZSTD },
      { digest: digestOf(bad), data: bad, compressor: Compressor_Value.DEFLATE },
      { digest: digestOf(bad), data: bad, compressor: 77 },
      ...MALFORMED.slice(0, 4).map((digest) => ({ digest, data: bad })),
    ]
    expect(await update([...wrong, plain(good)])).toEqual([...wrong.map(() => GrpcCode.INVALID_ARGUMENT), 0])
    expect(await isKept(good)).toBe(true)
    expect(await cache.blobs.missing(scope, [digestOf(bad)])).toHaveLength(1)
    // Not each by itself, which would take longer the more there are.
    const many = Array.from({ length: 65_537 }, () => ({ digest: undefined, data: new Uint8Array(0) }))
    expect(await codeOf(update(many))).toBe(GrpcCode.INVALID_ARGUMENT)
  })

  it('refuses a batch that is over the limit', async () => {
    const [half, rest] = [content(MAX_BATCH_BYTES / 2, 1), content(MAX_BATCH_BYTES / 2, 2)]
    expect(await update([plain(half), plain(rest)])).toEqual([0, 0])
    expect(await codeOf(update([plain(half), plain(rest), plain(content(1, 3))]))).toBe(GrpcCode.INVALID_ARGUMENT)
  })

  it('says of each that there was no room, and tells of it once', async () => {
    const full = new CacheError('store.full', 'No space is left in /secret.')
    const on = withBlobs({ write: async () => Promise.reject(full) })
    const items = [
      plain(content(100, 1)),
      plain(content(100, 2)),
      { ...plain(content(100, 3)), digest: digestOf(content(1, 1)) },
    ]
    const requests = items.map((item) => ({ compressor: Compressor_Value.IDENTITY, ...item }))
    const { responses } = await on.one<BatchUpdateBlobsResponse>('/BatchUpdateBlobs', { ...request, requests })
    const { RESOURCE_EXHAUSTED, INVALID_ARGUMENT } = GrpcCode
    expect(responses.map(({ status }) => status?.code)).toEqual([
      RESOURCE_EXHAUSTED,
      RESOURCE_EXHAUSTED,
      INVALID_ARGUMENT,
    ])
    expect(responses[0]?.status?.message).not.toContain('secret')
    expect(faults.splice(0)).toEqual([full])
  })
})

describe('BatchReadBlobs', () => {
  const read = async (digests: readonly (Digest | undefined)[], acceptableCompressors: number[] = [], on = called) => {
    const asked = { ...request, digests, acceptableCompressors }
    const { responses } = await on.one<BatchReadBlobsResponse>('/BatchReadBlobs', asked)
    expect(responses.map(({ digest }) => digest)).toEqual(digests)
    return responses
  }
  const codes = async (...asked: Parameters<typeof read>) => (await read(...asked)).map(({ status }) => status?.code)

  it('gives those that are there, whatever they are, in order', async () => {
    const blobs = [0, 1, 127, 128, 500, 16_000, 16_384, 70_000, 1_200_000].map((size) => content(size, size))
    await Promise.all(blobs.map(keep))
    const list = fc.array(fc.integer({ min: -1, max: blobs.length - 1 }), { maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(list, fc.boolean(), async (which, isZstd) => {
        const gone = { hash: 'ab'.repeat(32), sizeBytes: 3 }
        const digests = which.map((i) => (i < 0 ? gone : digestOf(blobs[i] as Buffer)))
        fc.pre(digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= MAX_BATCH_BYTES)
        const responses = await read(digests, isZstd ? [Compressor_Value.ZSTD] : [])
        for (const [at, i] of which.entries()) {
          const { status, data, compressor } = responses[at] as (typeof responses)[number]
          expect(status?.code).toBe(i < 0 ? GrpcCode.NOT_FOUND : 0)
          const found = compressor === Compressor_Value.ZSTD ? zstdDecompressSync(data) : data
          if (!isZstd) expect(compressor).toBe(Compressor_Value.IDENTITY)
          expect(found.equals(i < 0 ? Buffer.alloc(0) : (blobs[i] as Buffer))).toBe(true)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('gives a stored frame as it is, where it is taken and smaller', async () => {
    const text = content(300_000, 1)
    const frame = zstdCompressSync(text)
    await cache.frames.writeFrame(scope, digestOf(text), frame)
    const [asFrame] = await read([digestOf(text)], [Compressor_Value.DEFLATE, Compressor_Value.ZSTD])
    expect([asFrame?.compressor, asFrame?.data.equals(frame)]).toEqual([Compressor_Value.ZSTD, true])
    const [asIs] = await read([digestOf(text)], [Compressor_Value.DEFLATE])
    expect([asIs?.compressor, asIs?.data.equals(text)]).toEqual([Compressor_Value.IDENTITY, true])
    const dense = Buffer.concat(
      Array.from({ length: 4000 }, (_, i) => Buffer.from(digestOf(Buffer.from(`${i}`)).hash, 'hex')),
    )
    await cache.frames.writeFrame(scope, digestOf(dense), zstdCompressSync(dense))
    expect((await read([digestOf(dense)], [Compressor_Value.ZSTD]))[0]).toMatchObject({ compressor: 0, data: dense })
  })

  it('does not find what is damaged on the disk, and gives the rest', async () => {
    const [good, bad] = [await keep(content(1_200_000, 1)), await keep(content(1_300_000, 2))]
    const shard = join(dir, 'blobs', bad.hash.slice(0, 2))
    const path = join(shard, readdirSync(shard).find((name) => name.startsWith(bad.hash)) as string)
    const stored = readFileSync(path)
    stored[stored.length - 9] = (stored[stored.length - 9] as number) ^ 1
    writeFileSync(path, stored)
    expect(await codes([bad, good])).toEqual([GrpcCode.NOT_FOUND, 0])
    expect(await codes([bad, good], [Compressor_Value.ZSTD])).toEqual([GrpcCode.NOT_FOUND, 0])
  })

  it('refuses what is over the limit, and what is no digest', async () => {
    const digest = digestOf(content(10, 1))
    expect(
      await codes([
        { ...digest, sizeBytes: MAX_BATCH_BYTES - 1 },
        { ...digest, sizeBytes: 1 },
      ]),
    ).toEqual([5, 5])
    expect(
      await codeOf(
        read([
          { ...digest, sizeBytes: MAX_BATCH_BYTES },
          { ...digest, sizeBytes: 1 },
        ]),
      ),
    ).toBe(3)
    for (const wrong of MALFORMED) expect(await codeOf(read([wrong]))).toBe(GrpcCode.INVALID_ARGUMENT)
  })

  it('tells a fault of ours as a miss, and us what it was; what was read before counts', async () => {
    const bytes = content(100, 1)
    const fault = new Error('the disk is on fire')
    const on = withBlobs({
      async *readBatch() {
        yield { index: 1, bytes }
        throw fault
      },
    })
    const digests = [digestOf(content(9, 2)), digestOf(bytes), digestOf(content(9, 3))]
    expect(await codes(digests, [], on)).toEqual([GrpcCode.NOT_FOUND, 0, GrpcCode.NOT_FOUND])
    expect(faults.splice(0)).toEqual([fault])
  })
})

describe('SplitBlob and SpliceBlob', () => {
  const split = (blobDigest: Digest | undefined, on = called) =>
    on.one<SplitBlobResponse>('/SplitBlob', {
      ...request,
      blobDigest,
      chunkingFunction: ChunkingFunction_Value.UNKNOWN,
    })
  const splice = (blobDigest: Digest | undefined, chunkDigests: readonly (Digest | undefined)[]) =>
    called.one<SpliceBlobResponse>('/SpliceBlob', { ...request, blobDigest, chunkDigests, chunkingFunction: 0 })

  it.each(['off', 'fastcdc'] as const)(
    'gives chunks that are blobs, and the blob again, with chunking %s',
    async (chunking) => {
      await cache.close()
      await open({ chunking })
      for (const size of [1, 100, 300_000, 2_500_000]) {
        const bytes = content(size, size)
        const { chunkDigests, chunkingFunction } = await split(await keep(bytes))
        expect(chunkingFunction).toBe(ChunkingFunction_Value.FAST_CDC_2020)
        expect(await cache.blobs.missing(scope, chunkDigests)).toEqual([])
        const chunks = await Promise.all(chunkDigests.map((digest) => readWhole(cache.blobs, scope, digest)))
        expect(Buffer.concat(chunks as Uint8Array[]).equals(bytes)).toBe(true)
        for (const { sizeBytes } of chunkDigests.slice(0, -1))
          expect(sizeBytes).toBeGreaterThanOrEqual(AVERAGE_CHUNK_BYTES / 4)
        for (const { sizeBytes } of chunkDigests) expect(sizeBytes).toBeLessThanOrEqual(AVERAGE_CHUNK_BYTES * 4)
      }
      expect(await split(EMPTY_DIGEST)).toMatchObject({ chunkDigests: [] })
    },
  )

  it('keeps a blob of chunks of any size, in their order', async () => {
    const parts = [content(10, 1), content(1_400_000, 2), content(10, 1), content(700_000, 3)]
    const bytes = Buffer.concat(parts)
    const digests = await Promise.all(parts.map(keep))
    expect(await splice(digestOf(bytes), digests)).toEqual({ blobDigest: digestOf(bytes) })
    expect(await isKept(bytes)).toBe(true)
    expect(await splice(digestOf(bytes), [])).toEqual({ blobDigest: digestOf(bytes) })
    const small = Buffer.concat([parts[0] as Buffer, parts[2] as Buffer])
    expect(await splice(digestOf(small), [digests[0], digests[2]])).toEqual({ blobDigest: digestOf(small) })
    expect(await isKept(small)).toBe(true)
    expect(await splice(EMPTY_DIGEST, [])).toEqual({ blobDigest: EMPTY_DIGEST })
  })

  it('says what is missing or wrong', async () => {
    const parts = [content(800_000, 1), content(900_000, 2)]
    const digests = await Promise.all(parts.map(keep))
    const bytes = Buffer.concat(parts)
    const gone = digestOf(content(800_000, 3))
    expect(await codeOf(split(gone))).toBe(GrpcCode.NOT_FOUND)
    expect(await codeOf(splice(digestOf(bytes), [gone, digests[1]]))).toBe(GrpcCode.NOT_FOUND)
    expect(await codeOf(splice(digestOf(bytes), [digests[1], digests[0]]))).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(await codeOf(splice(digestOf(bytes), digests.slice(1)))).toBe(GrpcCode.INVALID_ARGUMENT)
    expect(await codeOf(splice(gone, [gone]))).toBe(GrpcCode.NOT_FOUND)
    for (const wrong of MALFORMED) {
      expect(await codeOf(split(wrong))).toBe(GrpcCode.INVALID_ARGUMENT)
      expect(await codeOf(splice(wrong, digests))).toBe(GrpcCode.INVALID_ARGUMENT)
      expect(await codeOf(splice(digestOf(bytes), [wrong]))).toBe(GrpcCode.INVALID_ARGUMENT)
    }
    expect(await cache.blobs.missing(scope, [digestOf(bytes)])).toHaveLength(1)
  })

  it('does not find a chunk that cannot be read after all, nor chunks that cannot be kept', async () => {
    const parts = [content(800_000, 1), content(900_000, 2)]
    const digests = await Promise.all(parts.map(keep))
    const blobDigest = digestOf(Buffer.concat(parts))
    const on = withBlobs({ read: async () => undefined })
    const spliced = on.one('/SpliceBlob', { ...request, blobDigest, chunkDigests: digests, chunkingFunction: 0 })
    expect(await codeOf(spliced)).toBe(GrpcCode.NOT_FOUND)
    await cache.close()
    await open({ readOnly: true })
    expect(await codeOf(split(digests[1]))).toBe(GrpcCode.NOT_FOUND)
    expect(faults.splice(0)).toMatchObject([{ code: 'store.read-only' }])
  })
})
