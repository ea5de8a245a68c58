import type { Digest } from '../../../digest/digest.ts'
import { sha256Hex } from '../../../digest/sha256.ts'
import { CacheError } from '../../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../../grpc/status.ts'
import {
  Compressor_Value,
  DigestFunction_Value,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { Status } from '../../../proto/google/rpc/status.ts'
import { otherBytes } from '../connection-fault.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import type { BatchItem } from './batch-queue.ts'
import { BATCH_READ, BATCH_UPDATE } from './reapi-methods.ts'
import { statusFault } from './status-fault.ts'

const digestFunction = DigestFunction_Value.SHA256
/** A digest, a status and their fields. */
const ITEM_BYTES = 200

/** A blob to be read or written with others; its group is the instance. */
export interface SmallBlob extends BatchItem {
  readonly digest: Digest
}

export interface NewBlob extends SmallBlob {
  readonly data: Buffer
}

export function smallBlob(instance: string, digest: Digest): SmallBlob {
  return { group: instance, digest, bytes: digest.sizeBytes + ITEM_BYTES }
}

export function newBlob(instance: string, digest: Digest, bytes: Uint8Array): NewBlob {
  return { ...smallBlob(instance, digest), data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) }
}

/** All of one instance. Each as it is in the answer: the blob, `undefined` where it is not there, or what is wrong with it. */
export async function readSmall(
  channel: GrpcChannel,
  blobs: readonly SmallBlob[],
  signal: AbortSignal,
): Promise<(Uint8Array | undefined | Error)[]> {
  const digests = [...new Map(blobs.map(({ digest }) => [keyOf(digest), digest])).values()]
  const asked = { instanceName: blobs[0]?.group ?? '', digests, digestFunction }
  const acceptableCompressors = [Compressor_Value.IDENTITY]
  const { server } = channel
  try {
    const { responses } = await channel.unary(BATCH_READ, { ...asked, acceptableCompressors }, signal)
    const found = new Map<string, Uint8Array | Error>()
    for (const { digest, data, status, compressor } of responses) {
      if (digest === undefined) continue
      const fault = faultIn(status)
      if (fault?.code === GrpcCode.NOT_FOUND) continue
      if (fault !== undefined) found.set(keyOf(digest), statusFault(server, fault) as Error)
      else if (compressor !== Compressor_Value.IDENTITY || !isBlob(digest, data))
        found.set(keyOf(digest), otherBytes(server, digest.hash, `${data.length} other bytes`))
      else found.set(keyOf(digest), data)
    }
    return blobs.map(({ digest }) => found.get(keyOf(digest)))
  } catch (error) {
    throw statusFault(server, error)
  }
}

/** All of one instance. `true` for each that is kept now. */
export async function writeSmall(
  channel: GrpcChannel,
  blobs: readonly NewBlob[],
  signal: AbortSignal,
): Promise<(true | Error)[]> {
  const unique = new Map(blobs.map(({ digest, data }) => [keyOf(digest), { digest, data }]))
  const requests = [...unique.values()].map((blob) => ({ ...blob, compressor: Compressor_Value.IDENTITY }))
  const { server } = channel
  try {
    const instanceName = blobs[0]?.group ?? ''
    const { responses } = await channel.unary(BATCH_UPDATE, { instanceName, requests, digestFunction }, signal)
    const told = new Map(responses.map(({ digest, status }) => [digest && keyOf(digest), faultIn(status) ?? 'kept']))
    return blobs.map(({ digest }) => {
      const status = told.get(keyOf(digest))
      if (status === 'kept') return true
      return refusal(channel, digest, status ?? new GrpcStatus(GrpcCode.UNKNOWN, 'nothing was said of a blob'))
    })
  } catch (error) {
    throw statusFault(server, error)
  }
}

/** INVALID_ARGUMENT is what REAPI has for bytes that are not those of their digest. */
export function refusal({ server }: GrpcChannel, { hash }: Digest, status: unknown): Error {
  if (status instanceof GrpcStatus && status.code === GrpcCode.INVALID_ARGUMENT)
    return new CacheError('store.corrupt', `${server.place} did not take blob ${hash}: ${status.message}`, {
      context: { hash },
    })
  return statusFault(server, status) as Error
}

function isBlob({ hash, sizeBytes }: Digest, data: Uint8Array): boolean {
  return data.length === sizeBytes && sha256Hex(data) === hash
}

function faultIn(status: Status | undefined): GrpcStatus | undefined {
  if (status === undefined || status.code === GrpcCode.OK) return undefined
  return new GrpcStatus(status.code as GrpcCode, status.message)
}

export function keyOf({ hash, sizeBytes }: Digest): string {
  return `${hash}/${sizeBytes}`
}
