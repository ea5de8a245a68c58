import { fieldHeader } from '../../grpc/field-header.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { ReadRequest } from '../../proto/google/bytestream/bytestream.ts'
import type { OpenBytes } from '../../store/contracts.ts'
import { openBytes } from '../../store/open-bytes.ts'
import { EncodedMessage, type GrpcCall } from '../grpc/service.ts'
import { paced } from '../paced.ts'
import type { Served } from '../protocol.ts'
import type { Room } from '../room.ts'
import { missOf, type OnFault } from './faults.ts'
import { type BlobResource, blobResource } from './resource-name.ts'
import { scopeOf } from './scope.ts'
import { zstdContent } from './zstd-content.ts'

type BlobSource = Pick<Served, 'blobs' | 'frames'> & { readonly room: Room; readonly onFault: OnFault }

/** Of one message. Of 64 KiB they cost a third more, of 1 MiB as much as these (on Node) while Bun copies all that waits for the client. */
const MESSAGE_BYTES = 1 << 18
/** `ReadResponse.data`: field 10, of bytes. */
const DATA_TAG = 0x52
const EMPTY = new Uint8Array(0)

/** ByteStream.Read: a blob, or a part of it, as it is or as zstd. What is damaged on the disk is not found. */
export async function readBlob(
  source: BlobSource,
  { resourceName, readOffset, readLimit }: ReadRequest,
  { signal }: GrpcCall,
): Promise<EncodedMessage | AsyncIterable<EncodedMessage>> {
  const resource = blobResource(resourceName)
  refuseRange(resource, readOffset, readLimit)
  const { digest, compressor } = resource
  const isWhole = readOffset === 0 && (readLimit === 0 || readLimit >= digest.sizeBytes)
  const isOneMessage = digest.sizeBytes > 0 && digest.sizeBytes <= MESSAGE_BYTES
  const range = { offset: readOffset, limit: readLimit, signal }
  return isWhole && isOneMessage && compressor === 'identity'
    ? wholeBlob(source, resource, signal)
    : messages(source, resource, range)
}

/** Most that are read are small: a build reads one for each output. */
async function wholeBlob(
  { blobs, onFault }: BlobSource,
  { instance, digest }: BlobResource,
  signal: AbortSignal,
): Promise<EncodedMessage> {
  try {
    for await (const { bytes } of blobs.readBatch(scopeOf(instance), [digest], signal))
      if (bytes !== undefined) return new EncodedMessage(fieldHeader(DATA_TAG, bytes.length), bytes)
    throw absent(digest)
  } catch (error) {
    throw missOf(error, `Blob ${digest.hash}`, signal, onFault)
  }
}

async function* messages(
  source: BlobSource,
  resource: BlobResource,
  { offset, limit, signal }: Range,
): AsyncGenerator<EncodedMessage> {
  try {
    const isWhole = resource.compressor === 'identity'
    const end = limit > 0 ? Math.min(resource.digest.sizeBytes, offset + limit) : resource.digest.sizeBytes
    const open = (at: number) => opened(source, resource, { offset: at, limit: limit > 0 ? end - at : 0, signal })
    const content = paced(
      {
        open,
        isRepeatable: isWhole,
        offset,
        end: isWhole ? end : Number.POSITIVE_INFINITY,
        contentBytes: end - offset,
      },
      { room: source.room, mostBytes: MESSAGE_BYTES },
    )
    for await (const data of content) yield new EncodedMessage(fieldHeader(DATA_TAG, data.length), data)
  } catch (error) {
    throw missOf(error, `Blob ${resource.digest.hash}`, signal, source.onFault)
  }
}

function refuseRange({ digest, compressor }: BlobResource, offset: number, limit: number): void {
  if (offset < 0 || offset > digest.sizeBytes)
    throw new GrpcStatus(GrpcCode.OUT_OF_RANGE, `read_offset is ${offset} in a blob of ${digest.sizeBytes} bytes.`)
  if (limit < 0) throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `read_limit is ${limit}.`)
  if (limit > 0 && compressor !== 'identity')
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'What is read compressed has no read_limit.')
}

interface Range {
  /** In the content, also where it is read compressed. */
  readonly offset: number
  /** 0: none. */
  readonly limit: number
  readonly signal: AbortSignal
}

async function opened(
  { blobs, frames }: BlobSource,
  { instance, digest, compressor }: BlobResource,
  { offset, limit, signal }: Range,
): Promise<OpenBytes> {
  const scope = scopeOf(instance)
  if (compressor === 'zstd' && offset === 0) {
    const stored = await frames.readFrame(scope, digest, signal)
    if (stored !== undefined) return stored
  }
  if (offset === digest.sizeBytes && (await blobs.missing(scope, [digest], signal)).length === 0)
    return compressor === 'zstd' ? compressed(openBytes(EMPTY)) : openBytes(EMPTY)
  const content = await blobs.read(scope, digest, { offset, signal, ...(limit > 0 && { length: limit }) })
  if (content === undefined) throw absent(digest)
  return compressor === 'zstd' ? compressed(content) : content
}

function absent({ hash, sizeBytes }: BlobResource['digest']): GrpcStatus {
  return new GrpcStatus(GrpcCode.NOT_FOUND, `Blob ${hash} of ${sizeBytes} bytes is not here.`)
}

function compressed(content: OpenBytes): OpenBytes {
  return {
    [Symbol.asyncIterator]: () => zstdContent(content),
    [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
  }
}
