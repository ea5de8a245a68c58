import { expect, test } from 'vitest'
import { absent, type Digest, digestOf, directory, EMPTY, fresh, unzstd, zstd } from './blobs.ts'
import { decoded } from './client.ts'
import { conformance } from './peer.ts'

const MAX_BATCH_BYTES = 4_000_000
const HEX = 'a'.repeat(64)
const DIRECTORY = 'build.bazel.remote.execution.v2.Directory'

conformance('ContentAddressableStorage', (peer) => {
  const call = (method: string, request: object) => peer.call(`ContentAddressableStorage/${method}`, request)
  const missing = async (blobDigests: readonly Digest[]) =>
    (await call('FindMissingBlobs', { blobDigests })).answer.missingBlobDigests as Digest[]
  const update = (...requests: object[]) => call('BatchUpdateBlobs', { requests })
  const item = (data: Uint8Array, more: object = {}) => ({ digest: digestOf(data), data, ...more })
  const codes = (answer: { responses: { status: { code: number } | null }[] }) =>
    answer.responses.map(({ status }) => status?.code ?? 0)

  test('what is missing is told exactly; the empty blob never is', async () => {
    const here = await peer.keep(fresh(100))
    const [gone, other] = [absent(), { ...here, sizeBytes: 7 }]
    expect(await missing([here, gone, EMPTY, other])).toEqual([gone, other])
    expect(await missing([])).toEqual([])
  })

  test('a thousand digests are answered at once', async () => {
    const digests = Array.from({ length: 1_000 }, () => absent())
    expect(await missing([...digests, EMPTY])).toEqual(digests)
  })

  test.each<[string, object]>([
    ['in upper case', { hash: HEX.toUpperCase(), sizeBytes: 1 }],
    ['of another length', { hash: 'ab', sizeBytes: 1 }],
    ['with a negative size', { hash: HEX, sizeBytes: -1 }],
    ['of no bytes by another hash', { hash: HEX, sizeBytes: 0 }],
  ])('a digest %s is INVALID_ARGUMENT in every call', async (_, digest) => {
    for (const [method, request] of [
      ['FindMissingBlobs', { blobDigests: [EMPTY, digest] }],
      ['BatchReadBlobs', { digests: [EMPTY, digest] }],
      ['GetTree', { rootDigest: digest }],
      ['SplitBlob', { blobDigest: digest }],
      ['SpliceBlob', { blobDigest: digest, chunkDigests: [EMPTY] }],
    ] as const)
      expect([method, (await call(method, request)).code]).toEqual([method, 'INVALID_ARGUMENT'])
    const { code, answer } = await update({ digest, data: Buffer.from('x') }, item(fresh(10)))
    expect([code, codes(answer)]).toEqual(['OK', [3, 0]])
  })

  test.each(['BLAKE3', 'SHA1', 'SHA256TREE'])('%s is INVALID_ARGUMENT in every call', async (digestFunction) => {
    for (const [method, request] of [
      ['FindMissingBlobs', {}],
      ['BatchUpdateBlobs', {}],
      ['BatchReadBlobs', {}],
      ['GetTree', { rootDigest: EMPTY }],
      ['SplitBlob', { blobDigest: EMPTY }],
      ['SpliceBlob', { blobDigest: EMPTY }],
    ] as const)
      expect([method, (await call(method, { ...request, digestFunction })).code]).toEqual([method, 'INVALID_ARGUMENT'])
  })

  test('blobs are taken and given in batches, each with a status of its own', async () => {
    const [one, two, bad] = [fresh(10), fresh(100_000), fresh(50)]
    const wrongHash = { digest: absent(50), data: bad }
    const wrongSize = { digest: { ...digestOf(bad), sizeBytes: 51 }, data: bad }
    const { code, answer } = await update(item(one), wrongHash, item(two), wrongSize, item(Buffer.alloc(0)))
    expect([code, codes(answer)]).toEqual(['OK', [0, 3, 0, 3, 0]])
    expect(answer.responses.map(({ digest }: { digest: Digest }) => digest)).toEqual([
      digestOf(one),
      wrongHash.digest,
      digestOf(two),
      wrongSize.digest,
      EMPTY,
    ])
    const digests = [digestOf(two), digestOf(bad), EMPTY, digestOf(one)]
    const read = await call('BatchReadBlobs', { digests })
    expect([read.code, codes(read.answer)]).toEqual(['OK', [0, 5, 0, 0]])
    expect(read.answer.responses.map(({ data }: { data: Buffer }) => data.length)).toEqual([100_000, 0, 0, 10])
    expect(read.answer.responses[0].data.equals(two)).toBe(true)
  })

  test('compressed blobs are taken, and given to whoever takes them', async () => {
    const [small, text, noise] = [fresh(100), Buffer.alloc(300_000, 'text'), fresh(100_000)]
    const zstdItem = (blob: Buffer) => ({ digest: digestOf(blob), data: zstd(blob), compressor: 'ZSTD' })
    const sent = await update(
      zstdItem(small),
      zstdItem(text),
      { ...zstdItem(noise), data: zstd(fresh(100_000)) },
      { ...zstdItem(noise), data: noise },
      { ...zstdItem(noise), compressor: 'DEFLATE' },
    )
    expect([sent.code, codes(sent.answer)]).toEqual(['OK', [0, 0, 3, 3, 3]])
    for (const acceptableCompressors of [[], ['IDENTITY'], ['ZSTD'], ['DEFLATE', 'ZSTD']]) {
      const { answer } = await call('BatchReadBlobs', {
        digests: [digestOf(small), digestOf(text)],
        acceptableCompressors,
      })
      const blobs = answer.responses.map(({ data, compressor }: { data: Buffer; compressor: string }) => {
        expect(['IDENTITY', ...acceptableCompressors]).toContain(compressor)
        return compressor === 'ZSTD' ? unzstd(data) : data
      })
      expect(blobs.map((blob: Buffer, i: number) => blob.equals([small, text][i] as Buffer))).toEqual([true, true])
    }
  })

  test('a batch that is full is taken and given; one byte more is INVALID_ARGUMENT', async () => {
    const blobs = Array.from({ length: 4 }, () => fresh(MAX_BATCH_BYTES / 4))
    const sent = await update(...blobs.map((blob) => item(blob)))
    expect([sent.code, codes(sent.answer)]).toEqual(['OK', [0, 0, 0, 0]])
    const digests = blobs.map(digestOf)
    expect((await call('BatchReadBlobs', { digests })).code).toBe('OK')
    const more = await peer.keep(Buffer.from([1]))
    expect((await call('BatchReadBlobs', { digests: [...digests, more] })).code).toBe('INVALID_ARGUMENT')
    const tooMuch = [fresh(MAX_BATCH_BYTES / 2), fresh(MAX_BATCH_BYTES / 2), fresh(1)]
    expect((await update(...tooMuch.map((blob) => item(blob)))).code).toBe('INVALID_ARGUMENT')
    expect((await missing(tooMuch.map(digestOf))).length).toBe(3)
  })

  const keepTree = async () => {
    const leaf = directory([await peer.keep(fresh(10))])
    const inner = directory([], [await peer.keep(leaf)])
    const root = directory([], [await peer.keep(inner), digestOf(leaf)])
    return { rootDigest: await peer.keep(root), all: [root, inner, leaf] }
  }

  test('a tree is given, its root first and each directory once, in pages too', async () => {
    const { rootDigest, all } = await keepTree()
    const expected = all.map((bytes) => digestOf(bytes).hash).sort()
    const whole = await call('GetTree', { rootDigest })
    const told = whole.answers.flatMap(({ directories }) => directories as object[])
    expect([whole.code, whole.answer.nextPageToken, told.length]).toEqual(['OK', '', 3])
    expect(told[0]).toEqual(decoded(DIRECTORY, all[0] as Buffer))
    const pages = await call('GetTree', { rootDigest, pageSize: 1 })
    expect(pages.answers.map(({ directories }) => directories.length)).toEqual([1, 1, 1])
    const { nextPageToken: pageToken } = pages.answers[0]
    const rest = await call('GetTree', { rootDigest, pageToken })
    expect(rest.answers.flatMap(({ directories }) => directories as object[])).toEqual(told.slice(1))
    expect(expected.length).toBe(3)
  })

  test.each<[string, () => Promise<object> | object, string]>([
    ['whose root is not there', () => ({ rootDigest: absent() }), 'NOT_FOUND'],
    ['without a root', () => ({}), 'INVALID_ARGUMENT'],
    ['with a token that is none', async () => ({ ...(await keepTree()), pageToken: 'x' }), 'INVALID_ARGUMENT'],
    ['with a negative page', async () => ({ ...(await keepTree()), pageSize: -1 }), 'INVALID_ARGUMENT'],
  ])('a tree %s', async (_, request, code) => {
    expect((await call('GetTree', await request())).code).toBe(code)
  })

  test('a tree of which a directory is missing is given without it', async () => {
    const inner = directory([], [absent()])
    const rootDigest = await peer.keep(directory([], [await peer.keep(inner), absent()]))
    const { code, answers } = await call('GetTree', { rootDigest })
    expect([code, answers.flatMap(({ directories }) => directories).length]).toEqual(['OK', 2])
  })

  test('a blob is split into chunks that are there, and spliced of them', async () => {
    const blob = fresh(3_000_000)
    const split = await call('SplitBlob', { blobDigest: await peer.keep(blob), chunkingFunction: 'FAST_CDC_2020' })
    const chunkDigests = split.answer.chunkDigests as Digest[]
    expect([split.code, split.answer.chunkingFunction, chunkDigests.length > 3]).toEqual(['OK', 'FAST_CDC_2020', true])
    expect(await missing(chunkDigests)).toEqual([])
    expect(chunkDigests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(3_000_000)

    const parts = [fresh(1_000), fresh(2_000_000), fresh(5)]
    const whole = Buffer.concat(parts)
    const request = {
      blobDigest: digestOf(whole),
      chunkDigests: await Promise.all(parts.map((part) => peer.keep(part))),
    }
    const spliced = await call('SpliceBlob', request)
    expect([spliced.code, spliced.answer?.blobDigest]).toEqual(['OK', digestOf(whole)])
    expect(await missing([digestOf(whole)])).toEqual([])
  })

  test.each<[string, string, () => Promise<object> | object, string]>([
    ['SplitBlob', 'of what is not there', () => ({ blobDigest: absent() }), 'NOT_FOUND'],
    ['SplitBlob', 'of nothing', () => ({}), 'INVALID_ARGUMENT'],
    [
      'SpliceBlob',
      'of chunks that are not there',
      () => ({ blobDigest: absent(), chunkDigests: [absent()] }),
      'NOT_FOUND',
    ],
    [
      'SpliceBlob',
      'of chunks of another blob',
      async () => ({ blobDigest: absent(20), chunkDigests: [await peer.keep(fresh(20))] }),
      'INVALID_ARGUMENT',
    ],
    [
      'SpliceBlob',
      'of chunks of another size',
      async () => ({ blobDigest: absent(21), chunkDigests: [await peer.keep(fresh(20))] }),
      'INVALID_ARGUMENT',
    ],
  ])('%s %s', async (method, _, request, code) => {
    expect((await call(method, await request())).code).toBe(code)
  })
})
