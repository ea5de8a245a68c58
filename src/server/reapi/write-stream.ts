import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { WriteRequest } from '../../proto/google/bytestream/bytestream.ts'
import { type UploadResource, uploadResource } from './resource-name.ts'

/** The requests of one ByteStream.Write, as the data that they bring. */
export interface WriteStream {
  readonly resource: UploadResource
  /** Where the first data belongs: in the content, also where what comes is compressed. */
  readonly offset: number
  /** Read to its end: the client has said that this was all. Else it has stopped, and may go on in another call. */
  readonly isFinished: boolean
  /** Bytes of `data` that were given out. */
  readonly receivedBytes: number
  /** To be read once. Throws INVALID_ARGUMENT where a request does not follow the one before. */
  readonly data: AsyncIterable<Uint8Array>
}

/** Reads the first request, which says what is written. Throws INVALID_ARGUMENT when it does not, or there is none. */
export async function openWriteStream(requests: AsyncIterator<WriteRequest>): Promise<WriteStream> {
  const { done, value: first } = await requests.next()
  if (done === true) throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'The upload has no request that says what it is.')
  const { resourceName, writeOffset: offset } = first
  if (offset < 0) throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `write_offset is ${offset}.`)
  let isFinished = false
  let receivedBytes = 0
  async function* data(): AsyncGenerator<Uint8Array> {
    for (let request = first as WriteRequest; ; ) {
      refuseOther(request, resourceName, offset + receivedBytes)
      receivedBytes += request.data.length
      isFinished = request.finishWrite
      if (request.data.length > 0) yield request.data
      if (isFinished) return
      const next = await requests.next()
      if (next.done === true) return
      request = next.value
    }
  }
  return {
    resource: uploadResource(resourceName),
    offset,
    data: data(),
    get isFinished() {
      return isFinished
    },
    get receivedBytes() {
      return receivedBytes
    },
  }
}

function refuseOther(request: WriteRequest, resourceName: string, offset: number): void {
  if (request.resourceName !== '' && request.resourceName !== resourceName)
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'The upload changes its resource_name on the way.')
  if (request.writeOffset !== offset)
    throw new GrpcStatus(
      GrpcCode.INVALID_ARGUMENT,
      `write_offset is ${request.writeOffset} where ${offset} bytes have come.`,
    )
}
