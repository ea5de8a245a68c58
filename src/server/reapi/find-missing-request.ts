import type { Digest } from '../../digest/digest.ts'
import type { BoundedReader } from '../../grpc/bounded-reader.ts'
import { FindMissingBlobsRequest } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'

/** With digests that are known to be well-formed, where that was seen while they were read. */
export type FindMissingRequest = FindMissingBlobsRequest & { readonly isChecked?: boolean }

/** `instance_name`, `blob_digests` and `digest_function`; of a digest `hash` and `size_bytes`. */
const INSTANCE_TAG = 0x0a
const DIGEST_TAG = 0x12
const FUNCTION_TAG = 0x18
const HASH_TAG = 0x0a
const SIZE_TAG = 0x10
const HASH_CHARACTERS = 64
/** A tag, a length, a hash with both, the size's tag: what each digest begins with. */
const HEAD_BYTES = 2 + 2 + HASH_CHARACTERS + 1
/** More bytes make more than a number holds. */
const MOST_SIZE_BYTES = 7

const IS_HEX = new Uint8Array(256)
for (const character of Buffer.from('0123456789abcdef')) IS_HEX[character] = 1

/**
 * Reads the requests that builds send most, of a thousand digests each: as every client writes them, and checks them on the
 * way, which takes a fifth of the time that generated code and a check of each take. Anything else is left to those.
 */
export const findMissingRequest: {
  encode: typeof FindMissingBlobsRequest.encode
  decode(message: Uint8Array | BoundedReader): FindMissingRequest
} = {
  encode: FindMissingBlobsRequest.encode,
  decode: (message) =>
    usual(message instanceof Uint8Array ? message : message.message) ?? FindMissingBlobsRequest.decode(message),
}

function usual(message: Uint8Array): FindMissingRequest | undefined {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  const blobDigests: Digest[] = []
  let instanceName = ''
  let at = 0
  if (bytes[0] === INSTANCE_TAG) {
    const length = bytes[1] as number
    if (length > 127) return undefined
    instanceName = bytes.toString('utf8', 2, 2 + length)
    at = 2 + length
  }
  for (; bytes[at] === DIGEST_TAG; at += 2 + (bytes[at + 1] as number)) {
    const digest = digestAt(bytes, at)
    if (digest === undefined) return undefined
    blobDigests.push(digest)
  }
  if (at === bytes.length) return { instanceName, blobDigests, digestFunction: 0, isChecked: true }
  const digestFunction = bytes[at + 1] as FindMissingRequest['digestFunction']
  if (bytes[at] !== FUNCTION_TAG || digestFunction > 127 || at + 2 !== bytes.length) return undefined
  return { instanceName, blobDigests, digestFunction, isChecked: true }
}

/** Undefined unless it is a well-formed one of a blob with content. */
function digestAt(bytes: Buffer, at: number): Digest | undefined {
  const end = at + 2 + (bytes[at + 1] as number)
  const sizeAt = at + HEAD_BYTES
  const isUsual =
    end <= bytes.length &&
    end > sizeAt &&
    end - sizeAt <= MOST_SIZE_BYTES &&
    bytes[at + 2] === HASH_TAG &&
    bytes[at + 3] === HASH_CHARACTERS &&
    bytes[sizeAt - 1] === SIZE_TAG
  if (!isUsual) return undefined
  const hashAt = at + 4
  let hexCharacters = 0
  for (let i = hashAt; i < sizeAt - 1; i++) hexCharacters += IS_HEX[bytes[i] as number] as number
  if (hexCharacters < HASH_CHARACTERS) return undefined
  let sizeBytes = 0
  for (let i = sizeAt, scale = 1; i < end; i++, scale *= 128) {
    const byte = bytes[i] as number
    if (byte > 127 !== i < end - 1) return undefined
    sizeBytes += (byte & 127) * scale
  }
  return sizeBytes === 0 ? undefined : { hash: bytes.toString('latin1', hashAt, sizeAt - 1), sizeBytes }
}
