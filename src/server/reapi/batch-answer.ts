import type { Digest } from '../../digest/digest.ts'
import { GrpcCode } from '../../grpc/status.ts'
import {
  BatchReadBlobsResponse_Response,
  Compressor_Value,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'

/** Of a BatchReadBlobsResponse `responses`, and of one of those `digest`, `data`, `status` and `compressor`. */
const RESPONSES_TAG = 0x0a
const DIGEST_TAG = 0x0a
const DATA_TAG = 0x12
const STATUS_TAG = 0x1a
const COMPRESSOR_TAG = 0x20
const HASH_TAG = 0x0a
const SIZE_TAG = 0x10
const HASH_CHARACTERS = 64

/**
 * A BatchReadBlobsResponse, written straight into the message's bytes: the answers in the order of the digests, whatever order
 * they come in. What is not added is not found.
 */
export class BatchAnswer {
  readonly #digests: readonly Digest[]
  /** Each has its place, as large as the content makes it. */
  readonly #starts: number[] = []
  readonly #lengths: number[] = []
  readonly #bytes: Buffer

  constructor(digests: readonly Digest[]) {
    this.#digests = digests
    let end = 0
    for (const { sizeBytes } of digests) {
      this.#starts.push(end)
      end += Math.max(sizeOf(sizeBytes, sizeBytes), MISS_BYTES)
    }
    this.#bytes = Buffer.allocUnsafe(end)
  }

  /** `data` is no longer than the content, and copied. */
  add(index: number, data: Uint8Array, compressor: Compressor_Value): void {
    const { hash, sizeBytes } = this.#digests[index] as Digest
    const start = this.#starts[index] as number
    const bytes = this.#bytes
    let at = start
    bytes[at++] = RESPONSES_TAG
    at = varint(bytes, at, responseBytes(sizeBytes, data.length))
    bytes[at++] = DIGEST_TAG
    at = varint(bytes, at, digestBytes(sizeBytes))
    bytes[at++] = HASH_TAG
    bytes[at++] = HASH_CHARACTERS
    at += bytes.write(hash, at, 'latin1')
    bytes[at++] = SIZE_TAG
    at = varint(bytes, at, sizeBytes)
    bytes[at++] = COMPRESSOR_TAG
    bytes[at++] = compressor
    bytes[at++] = STATUS_TAG
    bytes[at++] = 0
    bytes[at++] = DATA_TAG
    at = varint(bytes, at, data.length)
    bytes.set(data, at)
    this.#lengths[index] = at + data.length - start
  }

  encoded(): Uint8Array {
    let end = 0
    for (const [index, start] of this.#starts.entries()) {
      if (this.#lengths[index] === undefined) this.#miss(index)
      const length = this.#lengths[index] as number
      if (start !== end) this.#bytes.copyWithin(end, start, start + length)
      end += length
    }
    return this.#bytes.subarray(0, end)
  }

  #miss(index: number): void {
    const digest = this.#digests[index] as Digest
    const status = { code: GrpcCode.NOT_FOUND, message: 'It is not here.', details: [] }
    const response = BatchReadBlobsResponse_Response.encode({
      ...{ digest, status, data: NOTHING, compressor: Compressor_Value.IDENTITY },
    }).finish()
    const start = this.#starts[index] as number
    this.#bytes[start] = RESPONSES_TAG
    const at = varint(this.#bytes, start + 1, response.length)
    this.#bytes.set(response, at)
    this.#lengths[index] = at + response.length - start
  }
}

const NOTHING = Buffer.alloc(0)
/** A digest and the status, with room. */
const MISS_BYTES = 128

function sizeOf(contentBytes: number, dataBytes: number): number {
  const response = responseBytes(contentBytes, dataBytes)
  return 1 + varintBytes(response) + response
}

function responseBytes(contentBytes: number, dataBytes: number): number {
  const digest = digestBytes(contentBytes)
  return 1 + varintBytes(digest) + digest + 2 + 2 + 1 + varintBytes(dataBytes) + dataBytes
}

function digestBytes(contentBytes: number): number {
  return 2 + HASH_CHARACTERS + 1 + varintBytes(contentBytes)
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

function varint(bytes: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128
  bytes[at++] = rest
  return at
}
