import { framed, type GrpcClient, messagesIn } from './grpc-client.ts'
import { decodedAnswer, encodedRequest, pathOf } from './grpc-messages.ts'
import { HTTP_PROTOCOLS } from './http-protocols.ts'
import type { Answered, Asked } from './http1-client.ts'
import { digestOf } from './odd.ts'
import { Random } from './random.ts'

type Ask = (asked: Asked) => Promise<Answered | undefined>

/** An entry that a good client has brought. */
export interface GoodEntry {
  readonly name: string
  /** What it is now, as it comes back. */
  readonly read: () => Promise<Buffer | undefined>
  readonly bytes: Buffer
}

const TWIRP = '/twirp/github.actions.results.api.v1.CacheService'
/** Larger than what goes in one piece. */
export const LARGE_BYTES = 6 << 20

/** One entry by each protocol. */
export async function keepGoodEntries(ask: Ask, client: GrpcClient): Promise<GoodEntry[]> {
  const random = new Random(20_261_121)
  const entries: GoodEntry[] = []
  const put = async (asked: Asked, isFine: (status: number) => boolean = (status) => status < 300) => {
    const answered = await ask(asked)
    if (answered === undefined || !isFine(answered.status))
      throw new Error(`${asked.method} ${asked.target} was told ${answered?.status} ${answered?.body}`)
    return answered
  }
  const getting = (name: string, target: string, headers: Record<string, string>, bytes: Buffer) => {
    const read = async () => {
      const answered = await ask({ method: 'GET', target, headers })
      return answered?.status === 200 ? answered.body : undefined
    }
    entries.push({ name, bytes, read })
  }
  for (const { name, prefix, isOpaque, headers = {}, key } of HTTP_PROTOCOLS) {
    if (!isOpaque) continue
    const target = `/good${prefix}/${key(random)}`
    const bytes = random.exactly(name === 'nx' ? LARGE_BYTES : 5_000)
    await put({ method: 'PUT', target, headers, body: bytes })
    getting(name, target, headers, bytes)
  }
  const blob = random.exactly(3_000)
  await put({ method: 'PUT', target: `/cas/${digestOf(blob).hash}`, body: blob })
  getting('bazel-cas', `/cas/${digestOf(blob).hash}`, {}, blob)
  const result = Buffer.from([0x20, 1, 0x2a, 3, 97, 98, 99])
  await put({ method: 'PUT', target: `/good/ac/${random.hex(64)}`, body: result })
  const mise = { 'mise-cache-protocol': '1', 'mise-cache-namespace': 'good', 'if-none-match': '*' }
  const object = random.exactly(2_000)
  const target = `/v1/blobs/sha256/${digestOf(object).hash}/${object.length}`
  await put({ method: 'PUT', target, headers: mise, body: object })
  getting('mise', target, mise, object)
  await keepArchive(put, random, entries, ask)
  await keepByGrpc(client, random, entries)
  return entries
}

async function keepArchive(
  put: (asked: Asked) => Promise<Answered>,
  random: Random,
  entries: GoodEntry[],
  ask: Ask,
): Promise<void> {
  const key = { key: random.hex(10), version: random.hex(10) }
  const rpc = async (method: string, fields: object) => {
    const asked = {
      method: 'POST',
      target: `${TWIRP}/${method}`,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(fields)),
    }
    return JSON.parse((await put(asked)).body.toString()) as Record<string, string>
  }
  const pathIn = (url: string | undefined) => {
    const { pathname, search } = new URL(url ?? '')
    return `${pathname}${search}`
  }
  const bytes = random.exactly(50_000)
  await put({ method: 'PUT', target: pathIn((await rpc('CreateCacheEntry', key)).signed_upload_url), body: bytes })
  await rpc('FinalizeCacheEntryUpload', { ...key, sizeBytes: String(bytes.length) })
  const read = async () =>
    (await ask({ method: 'GET', target: pathIn((await rpc('GetCacheEntryDownloadURL', key)).signed_download_url) }))
      ?.body
  entries.push({ name: 'actions-cache', bytes, read })
}

async function keepByGrpc(client: GrpcClient, random: Random, entries: GoodEntry[]): Promise<void> {
  const call = async <T>(method: string, ...messages: object[]): Promise<T[]> => {
    const { code, message, body } = await client.call({
      path: pathOf(method),
      body: Buffer.concat(messages.map((fields) => framed(encodedRequest(method, fields)))),
    })
    if (code !== 0) throw new Error(`${method} ended with ${code} ${message}`)
    return messagesIn(body).map((bytes) => decodedAnswer<T>(method, bytes))
  }
  const [small, large] = [random.exactly(700), random.exactly(LARGE_BYTES)]
  const [smallDigest, largeDigest] = [digestOf(small), digestOf(large)]
  await call('ContentAddressableStorage/BatchUpdateBlobs', {
    requests: [{ digest: smallDigest, data: small, compressor: 0 }],
  })
  const readSmall = async () =>
    (
      await call<{ responses: { data: Buffer }[] }>('ContentAddressableStorage/BatchReadBlobs', {
        digests: [smallDigest],
      })
    )[0]?.responses[0]?.data
  entries.push({ name: 'cas', bytes: small, read: readSmall })
  const half = LARGE_BYTES / 2
  const resourceName = `uploads/good/blobs/${largeDigest.hash}/${LARGE_BYTES}`
  await call(
    'ByteStream/Write',
    { resourceName, data: large.subarray(0, half) },
    { writeOffset: half, data: large.subarray(half), finishWrite: true },
  )
  const readLarge = async () =>
    Buffer.concat(
      (await call<{ data: Buffer }>('ByteStream/Read', { resourceName: largeName(large) })).map(({ data }) => data),
    )
  entries.push({ name: 'byte-stream', bytes: large, read: readLarge })
  const actionDigest = { hash: random.hex(64), sizeBytes: 42 }
  const actionResult = {
    outputFiles: [],
    outputDirectories: [],
    outputSymlinks: [],
    outputFileSymlinks: [],
    outputDirectorySymlinks: [],
    exitCode: 0,
    stdoutRaw: small,
    stderrRaw: Buffer.alloc(0),
  }
  await call('ActionCache/UpdateActionResult', { actionDigest, actionResult })
  const readResult = async () =>
    (await call<{ stdoutRaw: Buffer }>('ActionCache/GetActionResult', { actionDigest, inlineStdout: true }))[0]
      ?.stdoutRaw
  entries.push({ name: 'action-cache', bytes: small, read: readResult })
  const uris = ['https://localhost/good']
  await call('Push/PushBlob', { uris, blobDigest: largeDigest })
  const readAsset = async () =>
    Buffer.from((await call<{ blobDigest?: { hash: string } }>('Fetch/FetchBlob', { uris }))[0]?.blobDigest?.hash ?? '')
  entries.push({ name: 'remote-asset', bytes: Buffer.from(largeDigest.hash), read: readAsset })
}

export function largeName(bytes: Buffer): string {
  const { hash, sizeBytes } = digestOf(bytes)
  return `blobs/${hash}/${sizeBytes}`
}

/** The names of those that do not come back byte for byte. */
export async function lostOf(entries: readonly GoodEntry[]): Promise<string[]> {
  const lost: string[] = []
  for (const { name, bytes, read } of entries) {
    const found = await read().catch(() => undefined)
    if (found === undefined || !found.equals(bytes)) lost.push(name)
  }
  return lost
}
