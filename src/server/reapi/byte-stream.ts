import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  ByteStreamDefinition,
  type QueryWriteStatusRequest,
  type QueryWriteStatusResponse,
  type WriteRequest,
  type WriteResponse,
} from '../../proto/google/bytestream/bytestream.ts'
import { BATCH_BLOB_BYTES } from '../../store/contracts.ts'
import { type GrpcCall, type GrpcMethod, grpcService } from '../grpc/service.ts'
import type { Served } from '../protocol.ts'
import type { Room } from '../room.ts'
import { readBlob } from './byte-stream-read.ts'
import { type OnFault, refusalOf } from './faults.ts'
import { uploadResource } from './resource-name.ts'
import { scopeOf } from './scope.ts'
import { otherSize } from './upload.ts'
import type { Uploads } from './uploads.ts'
import { writeRequest } from './write-request.ts'
import { openWriteStream, type WriteStream } from './write-stream.ts'

/** What was there before it was sent, where what is sent is compressed; its size would mean something else. */
const THERE_ALREADY = -1
/** Others need not wait any longer for the room of an upload that brings nothing. */
const STALLED_MS = 1_000
/** zstd makes nothing longer than this. */
const mostCompressedBytes = (sizeBytes: number) => 2 * sizeBytes + (1 << 20)

export interface ByteStreamOptions {
  readonly uploads: Uploads
  readonly room: Room
  readonly onFault: OnFault
}

type Store = Pick<Served, 'blobs' | 'frames'>

/** google.bytestream.ByteStream on the blobs, by REAPI's resource names. */
export function byteStreamService(served: Store, { uploads, room, onFault }: ByteStreamOptions): GrpcMethod[] {
  const { blobs, frames } = served
  const writes = new Writes(served, uploads, room)
  return grpcService(DEFINITION, {
    read: ['read', (request, call) => readBlob({ blobs, frames, room, onFault }, request, call)],
    write: ['write', (requests, call) => writes.write(requests, call)],
    queryWriteStatus: ['read', (request, call) => writes.status(request, call)],
  })
}

const { methods } = ByteStreamDefinition
const DEFINITION = {
  ...ByteStreamDefinition,
  methods: { ...methods, write: { ...methods.write, requestType: writeRequest } },
}

class Writes {
  readonly #served: Store
  readonly #uploads: Uploads
  readonly #room: Room

  constructor(served: Store, uploads: Uploads, room: Room) {
    this.#served = served
    this.#uploads = uploads
    this.#room = room
  }

  async write(requests: AsyncIterable<WriteRequest>, { signal }: GrpcCall): Promise<WriteResponse> {
    const iterator = requests[Symbol.asyncIterator]()
    try {
      const stream = await openWriteStream(iterator)
      return { committedSize: await this.#committed(stream, signal) }
    } finally {
      await iterator.return?.()
    }
  }

  async status({ resourceName }: QueryWriteStatusRequest, { signal }: GrpcCall): Promise<QueryWriteStatusResponse> {
    const resource = uploadResource(resourceName)
    const { instance, digest, compressor } = resource
    if ((await this.#served.blobs.missing(scopeOf(instance), [digest], signal)).length === 0)
      return { committedSize: digest.sizeBytes, complete: true }
    // A frame that broke off cannot be gone on with: what is compressed is sent again.
    return { committedSize: compressor === 'zstd' ? 0 : this.#uploads.receivedBytes(resource), complete: false }
  }

  async #committed(stream: WriteStream, signal: AbortSignal): Promise<number> {
    const { instance, digest, compressor } = stream.resource
    const isThere = (await this.#served.blobs.missing(scopeOf(instance), [digest], signal)).length === 0
    if (isThere) return compressor === 'zstd' ? THERE_ALREADY : digest.sizeBytes
    if (compressor === 'identity' && digest.sizeBytes > BATCH_BLOB_BYTES) return this.#uploads.write(stream)
    if (stream.offset > 0)
      throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `write_offset is ${stream.offset} where no bytes have come.`)
    return compressor === 'zstd' ? this.#writeFrames(stream, signal) : this.#writeSmall(stream)
  }

  /** Whole in memory, however many requests it comes in, once there is room for it. */
  async #writeSmall(stream: WriteStream): Promise<number> {
    const { instance, digest } = stream.resource
    using place = await this.#room.take(digest.sizeBytes)
    const bytes = Buffer.allocUnsafeSlow(digest.sizeBytes)
    const timer = setTimeout(() => place.stand(digest.sizeBytes), STALLED_MS).unref()
    try {
      for await (const data of stream.data) {
        timer.refresh()
        if (stream.receivedBytes > digest.sizeBytes) throw otherSize('more', digest)
        bytes.set(data, stream.receivedBytes - data.length)
      }
    } finally {
      clearTimeout(timer)
    }
    if (stream.receivedBytes < digest.sizeBytes) {
      if (stream.isFinished) throw otherSize('fewer', digest)
      return 0
    }
    const { hash } = digestOf(bytes)
    if (hash !== digest.hash)
      throw new GrpcStatus(
        GrpcCode.INVALID_ARGUMENT,
        `The bytes are not those of blob ${digest.hash}: they are ${hash}.`,
      )
    await this.#served.blobs.write(scopeOf(instance), digest, bytes)
    return digest.sizeBytes
  }

  async #writeFrames(stream: WriteStream, signal: AbortSignal): Promise<number> {
    const { instance, digest } = stream.resource
    try {
      await this.#served.frames.writeFrame(scopeOf(instance), digest, frames(stream), signal)
    } catch (error) {
      if (error instanceof NotFinished) return 0
      throw refusalOf(error)
    }
    return stream.receivedBytes
  }
}

/** The client has stopped, and said neither that this was all nor that it failed. */
class NotFinished extends Error {}

async function* frames(stream: WriteStream): AsyncGenerator<Uint8Array> {
  const { digest } = stream.resource
  for await (const data of stream.data) {
    if (stream.receivedBytes > mostCompressedBytes(digest.sizeBytes)) throw otherSize('more', digest)
    yield data
  }
  if (!stream.isFinished) throw new NotFinished()
}
