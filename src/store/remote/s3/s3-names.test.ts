import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '../../../digest/sha256.ts'
import { blobNamesContract } from '../../blob-names.contract.ts'
import { type BlobNames, DEFAULT_SCOPE as scope } from '../../contracts.ts'
import { guarded } from '../../guarded/guarded.ts'
import { readWhole } from '../../read-whole.ts'
import { faultyHttp, PATIENT } from '../fault-servers.fixture.ts'
import { openRemote } from '../open-remote.ts'

const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
const HELLO = Buffer.from('hello')
const { hash: HASH } = digestOf(HELLO)

/** As much of a bucket as names need: whole objects in memory, and lists as S3 answers them. */
async function bucket(prefix = 'team', objects = new Map<string, Buffer>()) {
  const queries: URLSearchParams[] = []
  const server = await faultyHttp((request, response) => void answer(request, response))
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://bucket')
    const key = decodeURIComponent(pathname).replace(/^\/cache\//, '')
    if (request.method === 'PUT') {
      objects.set(key, Buffer.concat(await request.toArray()))
      return void response.end()
    }
    if (key === '') {
      queries.push(searchParams)
      const wanted = searchParams.get('prefix') ?? ''
      const most = Number(searchParams.get('max-keys'))
      const keys = [...objects.keys()].filter((each) => each.startsWith(wanted)).sort()
      const listed = keys.slice(0, most).map((each) => `<Contents><Key>${each.replace('&', '&amp;')}</Key></Contents>`)
      return void response.end(`<ListBucketResult><Prefix>${wanted}</Prefix>${listed.join('')}</ListBucketResult>`)
    }
    const object = objects.get(key)
    if (object === undefined) return void response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>')
    response.writeHead(200, { 'content-length': object.length }).end(request.method === 'HEAD' ? undefined : object)
  }
  const address = `s3://cache/${prefix}?endpoint=${server.address}`
  const { names, ...end } = await openRemote(address, { ...PATIENT, s3: { credentials } })
  return {
    ...end,
    names: names as BlobNames,
    queries,
    objects,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

let used: AsyncDisposableStack
beforeEach(() => {
  used = new AsyncDisposableStack()
})
afterEach(() => used.disposeAsync())

blobNamesContract('s3, of a bucket in memory', () => bucket('odd & name'))
blobNamesContract('guarded, of a bucket in memory', async () => {
  const end = await bucket()
  const { names, ...safe } = guarded(end, { place: 'a bucket' })
  return { ...safe, names: names as BlobNames }
})

test('a bucket is asked for a few names alone, and for none of what is empty', async () => {
  const { names, queries } = used.use(await bucket())
  await names.digestOf(scope, digestOf(Buffer.alloc(0)).hash)
  expect(queries).toEqual([])
  await names.digestOf(scope, HASH)
  expect(queries.map((query) => Object.fromEntries(query))).toEqual([
    { 'list-type': '2', prefix: `team/cas/${HASH.slice(0, 2)}/${HASH}-`, 'max-keys': '10' },
  ])
})

test('what is named almost so is not taken for it', async () => {
  const at = `team/cas/${HASH.slice(0, 2)}/${HASH}`
  for (const name of [`${at}-`, `${at}-5x`, `${at}-5/6`, `${at}-${'9'.repeat(20)}`, at]) {
    const { names } = used.use(await bucket('team', new Map([[name, HELLO]])))
    expect(await names.digestOf(scope, HASH)).toBeUndefined()
  }
})

test('a blob that was found damaged has no name any more, and the right one beside it has', async () => {
  const at = `team/cas/${HASH.slice(0, 2)}/${HASH}`
  const { names, blobs } = used.use(await bucket('team', new Map([[`${at}-4`, Buffer.from('hell')]])))
  const wrong = { hash: HASH, sizeBytes: 4 }
  expect(await names.digestOf(scope, HASH)).toEqual(wrong)
  expect(await readWhole(blobs, scope, wrong)).toBeUndefined()
  expect(await names.digestOf(scope, HASH)).toBeUndefined()
  await blobs.write(scope, digestOf(HELLO), HELLO)
  expect(await names.digestOf(scope, HASH)).toEqual(digestOf(HELLO))
})

test('a list that is refused is a fault, and no blob that is not there', async () => {
  const server = used.use(
    await faultyHttp((_, response) => response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>')),
  )
  const { names } = used.use(await openRemote(`s3://cache?endpoint=${server.address}`, { s3: { credentials } }))
  await expect(names?.digestOf(scope, HASH)).rejects.toMatchObject({ code: 'remote.denied' })
})
