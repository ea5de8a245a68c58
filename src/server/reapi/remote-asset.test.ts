import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Cache } from '../../cache.ts'
import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode } from '../../grpc/status.ts'
import type { FetchBlobResponse, FetchDirectoryResponse } from '../../proto/build/bazel/remote/asset/v1/remote_asset.ts'
import { Directory } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE as scope } from '../../store/contracts.ts'
import { namedSizeBytes } from '../../store/named-blobs.ts'
import type { GrpcMethod } from '../grpc/service.ts'
import type { Use } from '../usage.ts'
import { remoteAssetServices } from './remote-asset.ts'
import { call, statusOf, temporaryCache } from './unary-call.fixture.ts'

let cache: Cache
let methods: GrpcMethod[]
let faults: unknown[]
let uses: Use[]
let blobDigest: Digest
let rootDirectoryDigest: Digest

beforeEach(async () => {
  cache = await temporaryCache()
  faults = []
  uses = []
  const usage = { note: (use: Use) => void uses.push(use) }
  methods = remoteAssetServices({ ...servedBy(cache), usage }, { onFault: (error) => faults.push(error) })
  blobDigest = await keep('an archive')
  const files = [{ name: 'f', digest: await keep('a file'), isExecutable: false }]
  rootDirectoryDigest = await keep(Directory.encode({ files, directories: [], symlinks: [] }).finish())
})
afterEach(() => cache[Symbol.asyncDispose]())

const servedBy = ({ blobs, actions, names }: Cache) => ({ blobs, actions, names })
const uris = ['https://one.test/a.tar', 'https://two.test/a.tar']
const [first, second] = uris as [string, string]
const absent = digestOf(Buffer.from('never written'))
const found = { code: GrpcCode.OK }
const notFound = { code: GrpcCode.NOT_FOUND }
const pushBlob = (more: object = {}) => call(methods, 'PushBlob', { uris, blobDigest, ...more })
const pushDirectory = (more: object = {}) => call(methods, 'PushDirectory', { uris, rootDirectoryDigest, ...more })
const fetchBlob = (more: object = {}) => call<FetchBlobResponse>(methods, 'FetchBlob', { uris, ...more })
const fetchDirectory = (more: object = {}) => call<FetchDirectoryResponse>(methods, 'FetchDirectory', { uris, ...more })
/** The status within the answer, or that of the call. */
const outcome = async (asked: Promise<{ status?: object | undefined }>) =>
  (await asked.catch((status) => ({ status }))).status
const sri = (digest: Digest) => `sha256-${Buffer.from(digest.hash, 'hex').toString('base64')}`
const secondsAgo = (n: number) => ({ seconds: Math.floor(Date.now() / 1000) - n, nanos: 0 })

async function keep(bytes: Uint8Array | string): Promise<Digest> {
  const blob = Buffer.from(bytes as string)
  await cache.blobs.write(scope, digestOf(blob), blob)
  return digestOf(blob)
}

test('what missed, what was pushed and what was found is noted down, under one key', async () => {
  await fetchBlob().catch(() => undefined)
  await pushBlob()
  await fetchBlob()
  expect(uses.map(({ kind }) => kind)).toEqual(['miss', 'kept', 'hit'])
  expect(new Set(uses.map(({ action }) => action.hash)).size).toBe(1)
  expect(uses.map(({ of }) => of && namedSizeBytes(of.result))).toEqual([undefined, 10, 10])
})

test('what was pushed is found by any of its URIs', async () => {
  await pushBlob()
  for (const uri of uris)
    expect(await fetchBlob({ uris: ['https://three.test', uri] })).toMatchObject({
      status: found,
      uri,
      blobDigest,
      digestFunction: 1,
    })
  expect(await outcome(fetchBlob({ uris: ['https://three.test'] }))).toMatchObject(notFound)
})

test('a directory is not a blob', async () => {
  await pushDirectory()
  expect(await fetchDirectory()).toMatchObject({ status: found, uri: first, rootDirectoryDigest })
  expect(await outcome(fetchBlob())).toMatchObject(notFound)
  await pushBlob({ uris: [second] })
  expect(await fetchBlob()).toMatchObject({ status: found, uri: second, blobDigest })
  expect(await fetchDirectory()).toMatchObject({ rootDirectoryDigest })
})

test('instances are apart', async () => {
  await pushBlob({ instanceName: 'red' })
  expect(await outcome(fetchBlob())).toMatchObject(notFound)
  expect(await outcome(fetchBlob({ instanceName: 'red' }))).toMatchObject(found)
})

test('a later push takes the place of an earlier one', async () => {
  await pushBlob()
  const other = await keep('another archive')
  await pushBlob({ blobDigest: other })
  expect(await fetchBlob()).toMatchObject({ blobDigest: other })
})

describe('qualifiers', () => {
  const branch = { name: 'vcs.branch', value: 'main' }
  const type = { name: 'resource_type', value: 'application/x-git' }

  test('choose, in any order', async () => {
    await pushBlob({ qualifiers: [branch, type] })
    expect(await fetchBlob({ qualifiers: [type, branch] })).toMatchObject({ status: found, qualifiers: [type, branch] })
    for (const qualifiers of [[], [branch], [type, { ...branch, value: 'next' }]])
      expect(await outcome(fetchBlob({ qualifiers }))).toMatchObject(notFound)
  })

  test('that say how to ask the origin do not choose, and are not told on', async () => {
    await pushBlob()
    const qualifiers = [
      { name: 'http_header:Authorization', value: 'secret' },
      { name: 'http_header_url:0:Authorization', value: 'secret' },
    ]
    expect(await fetchBlob({ qualifiers })).toMatchObject({ status: found, qualifiers: [] })
  })

  test.each<[string, object[]]>([
    ['without a name', [{ name: '', value: 'x' }]],
    ['twice', [branch, { ...branch, value: 'next' }]],
    ['with a checksum that is none', [{ name: 'checksum.sri', value: 'sha256-abc' }]],
    ['in any number', Array.from({ length: 101 }, (_, i) => ({ name: `${i}`, value: '' }))],
  ])('%s are INVALID_ARGUMENT', async (_, qualifiers) => {
    for (const asked of [fetchBlob({ qualifiers }), pushBlob({ qualifiers })])
      expect(await statusOf(asked)).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
  })
})

describe('a checksum', () => {
  const checksum = (value: string) => ({ qualifiers: [{ name: 'checksum.sri', value }] })

  test('of a blob that is there is enough, whatever the URI', async () => {
    const asked = { uris: ['https://never.pushed'], ...checksum(sri(blobDigest)) }
    expect(await fetchBlob(asked)).toMatchObject({ status: found, uri: 'https://never.pushed', blobDigest })
  })

  test('is found among others, and with options', async () => {
    expect(await outcome(fetchBlob(checksum(`sha512-AAAA ${sri(blobDigest)}?x`)))).toMatchObject(found)
  })

  test('that is another one than that of what was pushed finds nothing', async () => {
    await pushBlob()
    expect(await outcome(fetchBlob(checksum(sri(absent))))).toMatchObject(notFound)
    expect(await statusOf(pushBlob(checksum(sri(absent))))).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
  })

  test('proves content and does not choose it: it is found without, too', async () => {
    await pushBlob(checksum(sri(blobDigest)))
    expect(await fetchBlob()).toMatchObject({ status: found, blobDigest })
  })

  test('of a directory, which has none, chooses like any qualifier', async () => {
    for (const value of [sri(absent), 'sha256-abc']) {
      await pushDirectory(checksum(value))
      expect(await fetchDirectory(checksum(value))).toMatchObject({ status: found, rootDirectoryDigest })
    }
    expect(await outcome(fetchDirectory())).toMatchObject(notFound)
  })

  test('of another kind chooses like any qualifier', async () => {
    await pushBlob(checksum('sha512-AAAA'))
    expect(await outcome(fetchBlob(checksum('sha512-AAAA')))).toMatchObject(found)
    for (const asked of [{}, checksum('sha512-BBBB')]) expect(await outcome(fetchBlob(asked))).toMatchObject(notFound)
  })
})

describe('time', () => {
  test('what was pushed before what is accepted is not found', async () => {
    await pushBlob()
    expect(await outcome(fetchBlob({ oldestContentAccepted: secondsAgo(60) }))).toMatchObject(found)
    expect(await outcome(fetchBlob({ oldestContentAccepted: secondsAgo(-60) }))).toMatchObject(notFound)
  })

  test('what has expired is not found; a push alters that', async () => {
    await pushBlob({ expireAt: secondsAgo(1) })
    expect(await outcome(fetchBlob())).toMatchObject(notFound)
    const expireAt = { seconds: secondsAgo(-60).seconds, nanos: 5e6 }
    await pushBlob({ expireAt })
    expect(await fetchBlob()).toMatchObject({ status: found, expiresAt: expireAt })
    await pushBlob({ expireAt: { seconds: 0, nanos: 0 } })
    expect(await outcome(fetchBlob())).toMatchObject(notFound)
    await pushBlob()
    expect((await fetchBlob()).expiresAt).toBeUndefined()
  })
})

describe('content', () => {
  test('that is not there is not taken, and named', async () => {
    for (const asked of [pushBlob({ blobDigest: absent }), pushDirectory({ rootDirectoryDigest: absent })]) {
      const status = await statusOf(asked)
      expect(status.code).toBe(GrpcCode.FAILED_PRECONDITION)
      expect(String(status.details[0]?.value)).toContain(absent.hash)
    }
    expect(await outcome(fetchBlob())).toMatchObject(notFound)
  })

  test('that is no directory is not taken for one', async () => {
    const status = await statusOf(pushDirectory({ rootDirectoryDigest: await keep('\xff\xff none') }))
    expect(status).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
  })

  test('keeps what it refers to, and does without what is not there', async () => {
    const references = { referencesBlobs: [await keep('other')], referencesDirectories: [rootDirectoryDigest] }
    await pushBlob(references)
    await pushDirectory(references)
    expect(await fetchBlob()).toMatchObject({ status: found, blobDigest })
    expect(await fetchDirectory()).toMatchObject({ status: found, rootDirectoryDigest })
    await pushBlob({ uris: ['urn:x'], referencesBlobs: [absent] })
    expect(await fetchBlob({ uris: ['urn:x'] })).toMatchObject({ status: found, blobDigest })
  })

  test('is not removed while its asset is there', async () => {
    const other = await keep('other')
    await pushBlob({ referencesBlobs: [other] })
    const held: string[] = []
    for await (const { contentBytes } of cache.catalog.list()) held.push(String(contentBytes))
    expect(held).toEqual([
      String(blobDigest.sizeBytes + other.sizeBytes),
      String(blobDigest.sizeBytes + other.sizeBytes),
    ])
  })
})

test.each<[string, object]>([
  ['no URI', { uris: [] }],
  ['an empty URI', { uris: [first, ''] }],
  ['too many URIs', { uris: Array.from({ length: 101 }, (_, i) => `urn:${i}`) }],
  ['another digest function', { digestFunction: 9 }],
  ['an instance that is none', { instanceName: 'a/uploads' }],
])('a call with %s is INVALID_ARGUMENT', async (_, more) => {
  for (const asked of [fetchBlob, fetchDirectory, pushBlob, pushDirectory])
    expect(await statusOf(asked(more))).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
})

test.each<[string, object]>([
  ['no digest', { blobDigest: undefined, rootDirectoryDigest: undefined }],
  [
    'a digest that is none',
    { blobDigest: { hash: 'x', sizeBytes: 1 }, rootDirectoryDigest: { ...EMPTY_DIGEST, hash: 'x' } },
  ],
  ['a reference that is none', { referencesBlobs: [{ hash: 'x', sizeBytes: 1 }] }],
  ['a directory that is none', { referencesDirectories: [{ hash: 'x', sizeBytes: 1 }] }],
])('a push with %s is INVALID_ARGUMENT', async (_, more) => {
  for (const asked of [pushBlob, pushDirectory])
    expect(await statusOf(asked(more))).toMatchObject({ code: GrpcCode.INVALID_ARGUMENT })
})

test('a fault of the store is nothing found, and told', async () => {
  const actions = {
    ...cache.actions,
    get: async () => {
      throw new Error('the disk is on fire')
    },
  }
  const served = { blobs: cache.blobs, names: cache.names, actions: actions as never }
  const failing = remoteAssetServices(served, { onFault: (error) => faults.push(error) })
  expect(await statusOf(call(failing, 'FetchBlob', { uris }))).toMatchObject(notFound)
  expect(faults).toMatchObject([{ message: 'the disk is on fire' }])
  const signal = AbortSignal.abort(new Error('gone'))
  await expect(call(failing, 'FetchBlob', { uris }, { signal })).rejects.toThrow('fire')
  expect(faults.length).toBe(1)
})

test('fetching asks for a token that reads, pushing for one that writes', () => {
  expect(methods.map(({ path, needs }) => `${path.split('/').at(-1)} ${needs}`)).toEqual([
    'FetchBlob read',
    'FetchDirectory read',
    'PushBlob write',
    'PushDirectory write',
  ])
})
