import { randomUUID } from 'node:crypto'
import type { Digest } from '../../../digest/digest.ts'
import { CacheError } from '../../../errors.ts'
import { fieldHeader } from '../../../grpc/field-header.ts'
import { type Divided, MessagePart } from '../../../grpc/message-parser.ts'
import { GrpcCode } from '../../../grpc/status.ts'
import { ReadRequest, ReadResponse, WriteRequest, WriteResponse } from '../../../proto/google/bytestream/bytestream.ts'
import type { Piece } from '../checked-pieces.ts'
import type { GrpcCall } from '../grpc/grpc-call.ts'
import { decoded, type GrpcChannel } from '../grpc/grpc-channel.ts'
import { refusal } from './small-blobs.ts'
import { hasCode, statusFault } from './status-fault.ts'

const SERVICE = '/google.bytestream.ByteStream'
/** Of one message that we send. */
export const MESSAGE_BYTES = 512 << 10
/** `WriteRequest.data` and `ReadResponse.data`: field 10, of bytes. */
const DATA_TAG = 0x52
/** The tag, and a length below 2^28. */
const MOST_HEADER_BYTES = 5
const NOTHING = Buffer.alloc(0)

export interface StreamedBlob {
  readonly instance: string
  readonly digest: Digest
  /** How it is on its way: as it is, or as zstd frames. */
  readonly compressor: 'identity' | 'zstd'
}

/** A blob, or what a server says is one, as it comes: not checked. */
export interface Download {
  /** The first of the bytes; empty where there are none. */
  readonly first: Uint8Array
  readonly bytes: AsyncIterable<Uint8Array>
  cancel(): void
}

/** Undefined where it is not there. */
export async function download(
  channel: GrpcChannel,
  blob: StreamedBlob,
  signal?: AbortSignal,
): Promise<Download | undefined> {
  const call = await channel.open(`${SERVICE}/Read`, signal)
  const resourceName = nameOf(blob)
  const messages = call.messages(dataIn)
  try {
    await call.send([ReadRequest.encode({ resourceName, readOffset: 0, readLimit: 0 }).finish()])
    call.end()
    const first = await messages.next()
    const firstBytes = first.done === true ? NOTHING : bytesOf(first.value, channel)
    return { first: firstBytes, bytes: contentOf(channel, first, messages), cancel: () => call.cancel() }
  } catch (error) {
    call.cancel()
    if (hasCode(error, GrpcCode.NOT_FOUND)) return undefined
    throw statusFault(channel.server, error)
  }
}

async function* contentOf(
  channel: GrpcChannel,
  first: IteratorResult<Uint8Array | MessagePart>,
  messages: AsyncGenerator<Uint8Array | MessagePart>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; !next.done; next = await messages.next()) yield bytesOf(next.value, channel)
  } catch (error) {
    throw statusFault(channel.server, error)
  } finally {
    await messages.return(undefined)
  }
}

function bytesOf(message: Uint8Array | MessagePart, { server }: GrpcChannel): Uint8Array {
  if (message instanceof MessagePart) return message.message as Uint8Array
  const divided = dataIn(message, message.length)
  return divided === undefined ? decoded(ReadResponse, message, server).data : message.subarray(divided.dataAt)
}

/** A ReadResponse is its data and nothing else, which are handed on where they lie. */
function dataIn(start: Uint8Array, messageBytes: number): Divided | undefined {
  if (start[0] !== DATA_TAG) return undefined
  let dataBytes = 0
  for (let at = 1; at < Math.min(start.length, MOST_HEADER_BYTES); at++) {
    const byte = start[at] as number
    dataBytes |= (byte & 0x7f) << (7 * (at - 1))
    if (byte < 0x80) return at + 1 + dataBytes === messageBytes ? { dataAt: at + 1, part: (data) => data } : undefined
  }
  return undefined
}

/**
 * Sends a blob in pieces, the last of which says that it is whole: whoever makes them checks it before. A server that has it already
 * says so early, and no more is sent.
 */
export async function upload(
  channel: GrpcChannel,
  blob: StreamedBlob,
  pieces: AsyncIterable<Piece>,
  signal?: AbortSignal,
): Promise<void> {
  const call = await channel.open(`${SERVICE}/Write`, signal)
  const answer = call.only()
  let isAnswered = false
  const over = () => {
    isAnswered = true
  }
  answer.then(over, over)
  const resourceName = nameOf(blob, `uploads/${randomUUID()}/`)
  let sentBytes: number | undefined
  try {
    sentBytes = await sendAll(call, resourceName, pieces, () => isAnswered || signal?.aborted === true)
  } catch (error) {
    call.cancel()
    throw error
  }
  await committed(channel, blob, answer, sentBytes)
}

/** How many bytes it were; undefined where the server wanted no more of them. */
async function sendAll(
  call: GrpcCall,
  resourceName: string,
  pieces: AsyncIterable<Piece>,
  isOver: () => boolean,
): Promise<number | undefined> {
  let isFirst = true
  let sentBytes = 0
  const send = (writeOffset: number, data: Uint8Array, finishWrite: boolean) => {
    const head = WriteRequest.encode({
      resourceName: isFirst ? resourceName : '',
      ...{ writeOffset, finishWrite, data: NOTHING },
    }).finish()
    isFirst = false
    return call.send([head, fieldHeader(DATA_TAG, data.length), data])
  }
  for await (const { offset, data, isLast } of pieces) {
    if (isOver() || (!(await send(offset, data, isLast)) && !isLast)) return undefined
    sentBytes += data.length
  }
  call.end()
  return sentBytes
}

/** That a compressed blob was there already is said by -1, or by its own size. */
async function committed(
  channel: GrpcChannel,
  { digest, compressor }: StreamedBlob,
  answer: Promise<Uint8Array>,
  sentBytes: number | undefined,
): Promise<void> {
  let kept: number
  try {
    kept = decoded(WriteResponse, await answer, channel.server).committedSize
  } catch (error) {
    throw refusal(channel, digest, error)
  }
  if (kept === digest.sizeBytes || (compressor === 'zstd' && (kept === -1 || kept === sentBytes))) return
  throw new CacheError('remote.failed', `${channel.server.place} kept ${kept} bytes of ${digest.sizeBytes}.`, {
    context: { hash: digest.hash },
  })
}

function nameOf({ instance, digest: { hash, sizeBytes }, compressor }: StreamedBlob, of = ''): string {
  const kind = compressor === 'zstd' ? 'compressed-blobs/zstd' : 'blobs'
  return `${instance === '' ? '' : `${instance}/`}${of}${kind}/${hash}/${sizeBytes}`
}
