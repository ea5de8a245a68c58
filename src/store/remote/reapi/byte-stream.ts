import { randomUUID } from 'node:crypto'
import type { Digest } from '../../../digest/digest.ts'
import { CacheError } from '../../../errors.ts'
import { fieldHeader } from '../../../grpc/field-header.ts'
import { GrpcCode } from '../../../grpc/status.ts'
import { ReadRequest, ReadResponse, WriteRequest, WriteResponse } from '../../../proto/google/bytestream/bytestream.ts'
import { checkedPieces } from '../checked-pieces.ts'
import type { GrpcCall } from '../grpc/grpc-call.ts'
import { decoded, type GrpcChannel } from '../grpc/grpc-channel.ts'
import { refusal } from './small-blobs.ts'
import { hasCode, statusFault } from './status-fault.ts'

const SERVICE = '/google.bytestream.ByteStream'
const MESSAGE_BYTES = 512 << 10
/** `WriteRequest.data`: field 10, of bytes. */
const DATA_TAG = 0x52
const NOTHING = Buffer.alloc(0)

/** A large blob, or what a server says is one, as it comes: not checked. */
export interface Download {
  readonly bytes: AsyncIterable<Uint8Array>
  cancel(): void
}

/** Undefined where it is not there. */
export async function download(
  channel: GrpcChannel,
  instance: string,
  { hash, sizeBytes }: Digest,
  signal?: AbortSignal,
): Promise<Download | undefined> {
  const call = channel.open(`${SERVICE}/Read`, signal)
  const resourceName = `${prefixOf(instance)}blobs/${hash}/${sizeBytes}`
  const messages = call.messages()
  try {
    await call.send([ReadRequest.encode({ resourceName, readOffset: 0, readLimit: 0 }).finish()])
    call.end()
    const first = await messages.next()
    return { bytes: contentOf(channel, first, messages), cancel: () => call.cancel() }
  } catch (error) {
    call.cancel()
    if (hasCode(error, GrpcCode.NOT_FOUND)) return undefined
    throw statusFault(channel.server, error)
  }
}

async function* contentOf(
  channel: GrpcChannel,
  first: IteratorResult<Uint8Array>,
  messages: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; !next.done; next = await messages.next())
      yield decoded(ReadResponse, next.value, channel.server).data
  } catch (error) {
    throw statusFault(channel.server, error)
  } finally {
    await messages.return(undefined)
  }
}

/**
 * Sends a blob as it comes, checks it on the way, and says that it is whole only when it is: else `store.corrupt`. A server that
 * has it already says so early, and no more is sent.
 */
export async function upload(
  channel: GrpcChannel,
  instance: string,
  digest: Digest,
  bytes: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const call = channel.open(`${SERVICE}/Write`, signal)
  const answer = call.only()
  let isAnswered = false
  const over = () => {
    isAnswered = true
  }
  answer.then(over, over)
  const resourceName = `${prefixOf(instance)}uploads/${randomUUID()}/blobs/${digest.hash}/${digest.sizeBytes}`
  try {
    await sendAll(call, resourceName, digest, bytes, () => isAnswered || signal?.aborted === true)
  } catch (error) {
    call.cancel()
    throw error
  }
  await committed(channel, digest, answer)
}

async function sendAll(
  call: GrpcCall,
  resourceName: string,
  digest: Digest,
  bytes: AsyncIterable<Uint8Array>,
  isOver: () => boolean,
): Promise<void> {
  let isFirst = true
  const send = (writeOffset: number, data: Uint8Array, finishWrite: boolean) => {
    const head = WriteRequest.encode({
      resourceName: isFirst ? resourceName : '',
      ...{ writeOffset, finishWrite, data: NOTHING },
    }).finish()
    isFirst = false
    return call.send([head, fieldHeader(DATA_TAG, data.length), data])
  }
  for await (const { offset, data, isLast } of checkedPieces(digest, bytes, MESSAGE_BYTES)) {
    if (isOver() || !(await send(offset, data, isLast))) return
  }
  call.end()
}

async function committed(channel: GrpcChannel, digest: Digest, answer: Promise<Uint8Array>): Promise<void> {
  let kept: number
  try {
    kept = decoded(WriteResponse, await answer, channel.server).committedSize
  } catch (error) {
    throw refusal(channel, digest, error)
  }
  if (kept !== digest.sizeBytes)
    throw new CacheError('remote.failed', `${channel.server.place} kept ${kept} bytes of ${digest.sizeBytes}.`, {
      context: { hash: digest.hash },
    })
}

function prefixOf(instance: string): string {
  return instance === '' ? '' : `${instance}/`
}
