import { gzipSync } from 'node:zlib'
import { shown, type Verdict } from './findings.ts'
import { type Call, framed, type GrpcClient, messagesIn, type Outcome } from './grpc-client.ts'
import { decodedAnswer, encodedRequest, pathOf, plausibleRequest } from './grpc-messages.ts'
import { digestOf, mutated, type NamedDigest, ODD_SIZES, oddHash } from './odd.ts'
import type { Random } from './random.ts'

export const CODE = {
  ok: 0,
  invalid: 3,
  deadline: 4,
  notFound: 5,
  exhausted: 8,
  precondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
} as const

/** What is only said of faults, by proxies, or of clients that have gone. */
const NEVER: readonly number[] = [1, 2, 14, 15, 16]

/** Streams of bytes that are nearly calls: each ends with a status. */
export async function garbledCall(client: GrpcClient, random: Random): Promise<Verdict> {
  const { method, bytes } = plausibleRequest(random)
  const message = () =>
    random.pick([() => mutated(random, bytes), () => mutated(random, bytes), () => random.bytes(80), () => bytes])()
  const frame = () =>
    random.pick([
      () => framed(message()),
      () => framed(message()),
      () => framed(message()),
      () => framed(message(), random.below(256)),
      () => framed(message(), 0, random.pick([0, 1, 2 ** 32 - 1, 2 ** 31, 5_000_000, random.below(300)])),
      () => framed(gzipSync(message()), 1),
      () => mutated(random, framed(message())),
    ])()
  const body = Buffer.concat([frame(), ...(random.chance(0.2) ? [frame()] : [])])
  const odd = (name: string, ...values: string[]) => (random.chance(0.1) ? { [name]: random.pick(values) } : {})
  const call: Call = {
    path: random.chance(0.95)
      ? pathOf(method)
      : random.pick([
          `${pathOf(method)}x`,
          '/',
          '//',
          '/google.bytestream.ByteStream/',
          '/__proto__/toString',
          '*',
          `/${'x'.repeat(3_000)}/y`,
        ]),
    body,
    headers: {
      ...odd('grpc-encoding', 'gzip', 'identity', 'br', ''),
      ...odd('grpc-timeout', '10S', '0m', '1n', 'x', '-1S', '99999999H', '999999999S'),
      ...odd(
        'content-type',
        'application/grpc+proto',
        'application/grpc+json',
        'application/grpc-web',
        'application/json',
        'application/grpc;charset=x',
      ),
      ...odd(
        'build.bazel.remote.execution.v2.requestmetadata-bin',
        'AAAA',
        '!!!',
        random.bytes(40).toString('base64'),
        'x'.repeat(3_000),
      ),
      ...odd('user-agent', 'x'.repeat(5_000), '', '\u001b[31m'.replace('\u001b', '~')),
    },
    cuts: random.list(3, () => random.below(body.length + 1)).sort((a, b) => a - b),
    end: random.pick(['ended', 'ended', 'ended', 'ended', 'ended', 'ended', 'ended', 'reset', 'before']),
  }
  const outcome = await client.call(call)
  return call.end === 'ended' ? wrongOutcome(call, outcome) : undefined
}

function wrongOutcome(call: Call, { code, status, message }: Outcome): Verdict {
  const { 'content-type': type } = call.headers ?? {}
  if (type !== undefined && code === undefined && status !== undefined && status >= 400 && status < 500)
    return undefined
  if (code === undefined && (call.path === '*' || call.path === '/')) return undefined
  if (code !== undefined && !NEVER.includes(code)) return undefined
  return `${call.path} ended with ${code} ${message} (${status}), to ${shown(call.body)} ${JSON.stringify(call.headers)}`
}

interface Wrong {
  readonly method: string
  readonly messages: readonly object[]
  readonly codes: readonly number[]
  /** What must not be there afterwards. */
  readonly absent?: NamedDigest
  readonly frame?: (message: Buffer) => Buffer
  readonly headers?: Readonly<Record<string, string>>
}

/** Calls of the right form with one thing in them that is wrong: refused by the code that the protocol has for it. */
export async function wrongCall(client: GrpcClient, random: Random): Promise<Verdict> {
  const wrong = random.pick([
    wrongDigests,
    wrongDigests,
    wrongUploadName,
    wrongReadName,
    wrongBytes,
    wrongOffsets,
    wrongBatch,
    wrongFunction,
    wrongSplice,
    wrongResult,
    wrongFraming,
    wrongRange,
  ])(random)
  const { method, messages, codes, absent, frame = framed, headers = {} } = wrong
  const body = Buffer.concat(messages.map((fields) => frame(encodedRequest(method, fields))))
  const outcome = await client.call({ path: pathOf(method), body, headers })
  const code =
    wrong.method === 'ContentAddressableStorage/BatchUpdateBlobs' ||
    wrong.method === 'ContentAddressableStorage/BatchReadBlobs'
      ? codeWithin(method, outcome)
      : outcome.code
  if (code === undefined || !codes.includes(code))
    return `${method} ended with ${code} ${outcome.message} and not ${codes.join(' or ')}, to ${shown(JSON.stringify(messages))}`
  if (absent !== undefined && !(await isMissing(client, absent)))
    return `${absent.hash} was kept: ${method} ${shown(JSON.stringify(messages))}`
  return undefined
}

/** Of batches, where each blob has a code of its own: the first that is not OK. */
function codeWithin(method: string, { code, body }: Outcome): number | undefined {
  if (code !== 0) return code
  const { responses } = decodedAnswer<{ responses: { status?: { code: number } }[] }>(
    method,
    messagesIn(body)[0] as Buffer,
  )
  return responses.map(({ status }) => status?.code ?? 0).find((each) => each !== 0) ?? 0
}

export async function isMissing(client: GrpcClient, digest: NamedDigest): Promise<boolean> {
  const method = 'ContentAddressableStorage/FindMissingBlobs'
  const { code, body } = await client.call({
    path: pathOf(method),
    body: framed(encodedRequest(method, { blobDigests: [digest] })),
  })
  if (code !== 0) throw new Error(`FindMissingBlobs ended with ${code}`)
  return (
    decodedAnswer<{ missingBlobDigests: unknown[] }>(method, messagesIn(body)[0] as Buffer).missingBlobDigests
      .length === 1
  )
}

function wrongDigests(random: Random): Wrong {
  const right = digestOf(random.bytes(50))
  const digest = random.pick<NamedDigest>([
    { hash: oddHash(random), sizeBytes: 5 },
    { hash: `A${random.hex(63)}`, sizeBytes: 5 },
    { hash: right.hash, sizeBytes: random.pick([-1, -(2 ** 40), Number.MIN_SAFE_INTEGER]) },
  ])
  const data = Buffer.from('abc')
  const [method, fields] = random.pick<[string, object]>([
    ['ActionCache/GetActionResult', { actionDigest: digest }],
    ['ActionCache/GetActionResult', { actionDigest: undefined }],
    ['ActionCache/UpdateActionResult', { actionDigest: digest, actionResult: EMPTY_RESULT }],
    ['ContentAddressableStorage/FindMissingBlobs', { blobDigests: [right, digest] }],
    ['ContentAddressableStorage/BatchUpdateBlobs', { requests: [{ digest, data, compressor: 0 }] }],
    ['ContentAddressableStorage/BatchReadBlobs', { digests: [digest] }],
    ['ContentAddressableStorage/GetTree', { rootDigest: digest }],
    ['ContentAddressableStorage/SplitBlob', { blobDigest: digest }],
    ['ContentAddressableStorage/SpliceBlob', { blobDigest: digest, chunkDigests: [right] }],
    ['ContentAddressableStorage/SpliceBlob', { blobDigest: right, chunkDigests: [digest] }],
    ['Push/PushBlob', { uris: ['https://localhost/x'], blobDigest: digest }],
    ['Push/PushBlob', { uris: ['https://localhost/x'], blobDigest: right, referencesBlobs: [digest] }],
  ])
  return { method, messages: [fields], codes: [CODE.invalid] }
}

const EMPTY_RESULT = {
  outputFiles: [],
  outputDirectories: [],
  outputSymlinks: [],
  outputFileSymlinks: [],
  outputDirectorySymlinks: [],
  exitCode: 0,
  stdoutRaw: Buffer.alloc(0),
  stderrRaw: Buffer.alloc(0),
}

function wrongUploadName(random: Random): Wrong {
  const data = random.bytes(50)
  const { hash, sizeBytes } = digestOf(data)
  const name = random.pick([
    `uploads//blobs/${hash}/${sizeBytes}`,
    `uploads/u/blobs/${oddHash(random)}/${sizeBytes}`,
    `uploads/u/blobs/${hash.replace(/[0-9]/, 'A')}/${sizeBytes}`,
    `uploads/u/blobs/${hash}/${random.pick(ODD_SIZES)}`,
    `uploads/u/blobs/${hash}`,
    `uploads/u/${hash}/${sizeBytes}`,
    `upload/u/blobs/${hash}/${sizeBytes}`,
    `blobs/${hash}/${sizeBytes}`,
    '',
    '/',
    'uploads',
    `uploads/u/compressed-blobs/${random.pick(['gzip', 'identity', '', 'ZSTD', 'brotli', '../zstd'])}/${hash}/${sizeBytes}`,
    `uploads/u/blobs/md5/${hash}/${sizeBytes}`,
    `uploads/u/blobs/sha512/${hash}/${sizeBytes}`,
    `${'i/'.repeat(1_200)}uploads/u/blobs/${hash}/${sizeBytes}`,
    `uploads/u/blobs/../blobs/${hash}/${sizeBytes}`,
    `uploads/u/blobs/${hash}/${sizeBytes} `,
    `uploads/u\u0000/blob/${hash}/${sizeBytes}`,
    random.bytes(30).toString('latin1'),
  ])
  return {
    method: 'ByteStream/Write',
    messages: [{ resourceName: name, finishWrite: true, data }],
    codes: [CODE.invalid],
  }
}

function wrongReadName(random: Random): Wrong {
  const { hash, sizeBytes } = digestOf(random.exactly(50))
  const resourceName = random.pick([
    `blobs/${oddHash(random)}/${sizeBytes}`,
    `blobs/${hash}/${random.pick(ODD_SIZES)}`,
    `blobs/${hash}`,
    `blobs/${hash}/${sizeBytes}/more`,
    `compressed-blobs/${hash}/${sizeBytes}`,
    `compressed-blobs/lz4/${hash}/${sizeBytes}`,
    `blobs/blake3/${hash}/${sizeBytes}`,
    `blobs//${hash}/${sizeBytes}`,
    'blobs',
    '',
    `uploads/x/blobs/${hash}/${sizeBytes}`,
    `blobs/${hash}/0`,
    `blobs\\${hash}\\${sizeBytes}`,
    '../../etc/passwd',
  ])
  return {
    method: random.pick(
      resourceName.startsWith('uploads') ? ['ByteStream/Read'] : ['ByteStream/Read', 'ByteStream/QueryWriteStatus'],
    ),
    messages: [{ resourceName }],
    codes: [CODE.invalid],
  }
}

/** Bytes under the name of others. */
function wrongBytes(random: Random): Wrong {
  const data = random.exactly(1 + random.below(200))
  const right = digestOf(data)
  const digest = random.pick<NamedDigest>([
    { hash: random.hex(64), sizeBytes: right.sizeBytes },
    { hash: right.hash, sizeBytes: right.sizeBytes + 1 },
    { hash: right.hash, sizeBytes: Math.max(1, right.sizeBytes - 1 || right.sizeBytes + 2) },
    { hash: random.hex(64), sizeBytes: 2 ** 50 },
  ])
  const folder = random.pick(['blobs', 'compressed-blobs/zstd'])
  return {
    method: 'ByteStream/Write',
    messages: [
      {
        resourceName: `uploads/${random.hex(8)}/${folder}/${digest.hash}/${digest.sizeBytes}`,
        finishWrite: true,
        data,
      },
    ],
    codes: [CODE.invalid],
    absent: digest,
  }
}

function wrongOffsets(random: Random): Wrong {
  const data = random.exactly(64)
  const digest = digestOf(Buffer.concat([data, data]))
  const resourceName = `uploads/${random.hex(8)}/blobs/${digest.hash}/${digest.sizeBytes}`
  const first = { resourceName, data }
  const offset = random.pick([-1, 1, 63, 65, 128, 2 ** 40, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])
  const messages = random.pick<object[]>([
    [first, { writeOffset: offset, data, finishWrite: true }],
    [
      { ...first, writeOffset: offset },
      { writeOffset: offset + 64, data, finishWrite: true },
    ],
    [first, { resourceName: 'other', writeOffset: 64, data, finishWrite: true }],
    [
      { ...first, finishWrite: true },
      { writeOffset: 64, data, finishWrite: true },
    ],
    [{ data }, { resourceName, writeOffset: 64, data, finishWrite: true }],
    [{ ...first, resourceName: resourceName.replace('/blobs/', '/compressed-blobs/zstd/'), writeOffset: 5 }],
  ])
  return { method: 'ByteStream/Write', messages, codes: [CODE.invalid, CODE.outOfRange], absent: digest }
}

function wrongBatch(random: Random): Wrong {
  const data = random.exactly(1 + random.below(100))
  const right = digestOf(data)
  const digest = random.pick<NamedDigest>([
    { ...right, hash: random.hex(64) },
    { ...right, sizeBytes: right.sizeBytes + 1 },
    { ...right, sizeBytes: Number.MAX_SAFE_INTEGER },
    { hash: random.hex(64), sizeBytes: 0 },
  ])
  const compressor = random.pick([0, 0, 1, 2, 3, 77])
  const isBlob = digest.sizeBytes > 0
  return {
    method: 'ContentAddressableStorage/BatchUpdateBlobs',
    messages: [{ requests: [{ digest, data, compressor }] }],
    codes: [CODE.invalid],
    ...(isBlob && { absent: digest }),
  }
}

function wrongFunction(random: Random): Wrong {
  const digest = digestOf(random.bytes(40))
  const digestFunction = random.pick([2, 3, 4, 5, 6, 7, 8, 9, 77, -1])
  const [method, fields] = random.pick<[string, object]>([
    ['ActionCache/GetActionResult', { actionDigest: digest }],
    ['ContentAddressableStorage/FindMissingBlobs', { blobDigests: [digest] }],
    ['ContentAddressableStorage/BatchReadBlobs', { digests: [digest] }],
    ['ContentAddressableStorage/GetTree', { rootDigest: digest }],
  ])
  return { method, messages: [{ ...fields, digestFunction }], codes: [CODE.invalid] }
}

/** Of chunks that are not there, or are others. */
function wrongSplice(random: Random): Wrong {
  const absent = { hash: random.hex(64), sizeBytes: 1 + random.below(5) }
  const empty = digestOf(Buffer.alloc(0))
  const chunks = random.pick([
    [],
    [empty],
    [{ hash: random.hex(64), sizeBytes: absent.sizeBytes }],
    [absent],
    Array.from({ length: 50 }, () => ({ hash: random.hex(64), sizeBytes: 2 ** 40 })),
  ])
  return {
    method: 'ContentAddressableStorage/SpliceBlob',
    messages: [{ blobDigest: absent, chunkDigests: chunks }],
    codes: [CODE.invalid, CODE.notFound],
    absent,
  }
}

function wrongResult(random: Random): Wrong {
  const digest = { hash: random.hex(64), sizeBytes: 5 }
  const actionDigest = { hash: random.hex(64), sizeBytes: 9 }
  const file = (fields: object) => ({ path: 'a', isExecutable: false, contents: Buffer.alloc(0), ...fields })
  const actionResult = random.pick<object>([
    { ...EMPTY_RESULT, outputFiles: [file({ digest })] },
    { ...EMPTY_RESULT, stdoutDigest: digest },
    { ...EMPTY_RESULT, outputDirectories: [{ path: 'd', treeDigest: digest }] },
    { ...EMPTY_RESULT, outputFiles: [file({ digest: { hash: oddHash(random), sizeBytes: 5 } })] },
    { ...EMPTY_RESULT, stderrDigest: { hash: digest.hash, sizeBytes: -5 } },
    { ...EMPTY_RESULT, outputFiles: [file({})] },
  ])
  return {
    method: 'ActionCache/UpdateActionResult',
    messages: [{ actionDigest, actionResult }],
    codes: [CODE.invalid, CODE.precondition, CODE.notFound],
  }
}

function wrongFraming(random: Random): Wrong {
  const method = random.pick([
    'ContentAddressableStorage/FindMissingBlobs',
    'ByteStream/QueryWriteStatus',
    'Capabilities/GetCapabilities',
    'ByteStream/Write',
  ])
  const made = random.pick<Pick<Wrong, 'frame' | 'codes' | 'headers'>>([
    { frame: (message) => framed(message, 1), codes: [CODE.internal] },
    { frame: (message) => framed(message, 2 + random.below(254)), codes: [CODE.internal] },
    { frame: (message) => framed(message, 1), headers: { 'grpc-encoding': 'gzip' }, codes: [CODE.internal] },
    {
      frame: (message) => framed(gzipSync(message), 1),
      headers: { 'grpc-encoding': 'br' },
      codes: [CODE.unimplemented],
    },
    { frame: (message) => framed(message, 0, 2 ** 32 - 1), codes: [CODE.exhausted] },
    { frame: (message) => framed(message, 0, 6 << 20), codes: [CODE.exhausted] },
    { frame: (message) => framed(message, 0, message.length + 1), codes: [CODE.internal] },
    { frame: () => Buffer.from([0, 0, 0]), codes: [CODE.internal] },
    { frame: () => framed(Buffer.from([0xff, 0xff, 0xff])), codes: [CODE.internal] },
    { frame: () => Buffer.alloc(0), codes: method === 'ByteStream/Write' ? [CODE.invalid] : [CODE.unimplemented] },
  ])
  return { method, messages: [{}], ...made }
}

function wrongRange(random: Random): Wrong {
  const { hash } = digestOf(random.bytes(50))
  const resourceName = `blobs/${hash}/50`
  const fields = random.pick<object>([
    { readOffset: -1 },
    { readOffset: 51 },
    { readOffset: 2 ** 50 },
    { readLimit: -1 },
    { readOffset: Number.MIN_SAFE_INTEGER },
  ])
  return { method: 'ByteStream/Read', messages: [{ resourceName, ...fields }], codes: [CODE.invalid, CODE.outOfRange] }
}
