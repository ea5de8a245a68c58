import { FetchDefinition, PushDefinition } from '../../src/proto/build/bazel/remote/asset/v1/remote_asset.ts'
import {
  ActionCacheDefinition,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
} from '../../src/proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ByteStreamDefinition } from '../../src/proto/google/bytestream/bytestream.ts'
import { HealthDefinition } from '../../src/proto/grpc/health/v1/health.ts'
import { digestOf, type NamedDigest } from './odd.ts'
import type { Random } from './random.ts'

interface Codec {
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): unknown
}

interface Service {
  readonly fullName: string
  readonly methods: Readonly<
    Record<string, { readonly name: string; readonly requestType: unknown; readonly responseType: unknown }>
  >
}

const SERVICES: readonly Service[] = [
  ActionCacheDefinition,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  ByteStreamDefinition,
  FetchDefinition,
  PushDefinition,
  HealthDefinition,
]

/** By the end of its path: `ActionCache/GetActionResult`. */
const METHODS = new Map(
  SERVICES.flatMap(({ fullName, methods }) =>
    Object.values(methods).map(({ name, requestType, responseType }) => [
      `${fullName.slice(fullName.lastIndexOf('.') + 1)}/${name}`,
      { path: `/${fullName}/${name}`, requestType: requestType as Codec, responseType: responseType as Codec },
    ]),
  ),
)

function methodNamed(method: string) {
  const found = METHODS.get(method)
  if (found === undefined) throw new Error(`there is no method ${method}`)
  return found
}

export function pathOf(method: string): string {
  return methodNamed(method).path
}

/** A message with these fields; what is not said is as it is in a message of no bytes. */
export function encodedRequest(method: string, fields: object): Buffer {
  const { requestType } = methodNamed(method)
  const whole = { ...(requestType.decode(new Uint8Array(0)) as object), ...fields }
  return Buffer.from(requestType.encode(whole as never).finish())
}

export function decodedAnswer<T>(method: string, bytes: Uint8Array): T {
  return methodNamed(method).responseType.decode(bytes) as T
}

const PATHS_OF_ALL = [...METHODS.keys()]

export interface Message {
  readonly method: string
  readonly bytes: Buffer
}

/** A request that could be meant, to any of the methods but those that never end. */
export function plausibleRequest(random: Random): Message {
  const data = random.bytes(100)
  const right = digestOf(data)
  const digest = (): NamedDigest =>
    random.chance(0.5) ? right : { hash: random.hex(64), sizeBytes: random.below(1_000) }
  const instanceName = random.pick(['', 'team', 'a/b', '..', 'blobs'])
  const fields: Readonly<Record<string, () => object>> = {
    'ActionCache/GetActionResult': () => ({ actionDigest: digest(), inlineOutputFiles: ['a'], inlineStdout: true }),
    'ActionCache/UpdateActionResult': () => ({
      actionDigest: digest(),
      actionResult: {
        outputFiles: [],
        outputDirectories: [],
        outputSymlinks: [],
        outputFileSymlinks: [],
        outputDirectorySymlinks: [],
        exitCode: 1,
        stdoutRaw: data,
        stderrRaw: data,
      },
    }),
    'Capabilities/GetCapabilities': () => ({}),
    'ContentAddressableStorage/FindMissingBlobs': () => ({ blobDigests: random.list(5, digest) }),
    'ContentAddressableStorage/BatchUpdateBlobs': () => ({
      requests: [
        { digest: right, data, compressor: 0 },
        { digest: digest(), data, compressor: random.below(3) },
      ],
    }),
    'ContentAddressableStorage/BatchReadBlobs': () => ({ digests: random.list(5, digest), acceptableCompressors: [1] }),
    'ContentAddressableStorage/GetTree': () => ({ rootDigest: digest(), pageSize: random.below(5) }),
    'ContentAddressableStorage/SplitBlob': () => ({ blobDigest: digest() }),
    'ContentAddressableStorage/SpliceBlob': () => ({ blobDigest: digest(), chunkDigests: random.list(4, digest) }),
    'ByteStream/Read': () => ({ resourceName: `blobs/${digest().hash}/${right.sizeBytes}` }),
    'ByteStream/Write': () => ({
      resourceName: `uploads/${random.hex(8)}/blobs/${right.hash}/${right.sizeBytes}`,
      finishWrite: true,
      data,
    }),
    'ByteStream/QueryWriteStatus': () => ({
      resourceName: `uploads/${random.hex(8)}/blobs/${right.hash}/${right.sizeBytes}`,
    }),
    'Fetch/FetchBlob': () => ({
      uris: [`https://localhost/${random.hex(8)}`],
      qualifiers: [{ name: 'checksum.sri', value: `sha256-${Buffer.from(right.hash, 'hex').toString('base64')}` }],
    }),
    'Fetch/FetchDirectory': () => ({ uris: ['https://localhost/x'] }),
    'Push/PushBlob': () => ({ uris: [`https://localhost/${random.hex(8)}`], blobDigest: digest() }),
    'Push/PushDirectory': () => ({ uris: ['x'], rootDirectoryDigest: digest() }),
    'Health/Check': () => ({ service: random.pick(['', 'x']) }),
  }
  const method = random.pick(PATHS_OF_ALL.filter((name) => Object.hasOwn(fields, name)))
  const made = (fields[method] as () => object)()
  return {
    method,
    bytes: encodedRequest(method, {
      ...(method.startsWith('ByteStream') || method.startsWith('Health') ? {} : { instanceName }),
      ...made,
    }),
  }
}
