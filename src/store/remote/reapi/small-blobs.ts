import type { Digest } from '../../../digest/digest.ts'
import { sha256Hex } from '../../../digest/sha256.ts'
import { CacheError } from '../../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../../grpc/status.ts'
import {
  Compressor_Value,
  DigestFunction_Value,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { Status } from '../../../proto/google/rpc/status.ts'
import { FrameReader } from '../../local/compression/frame-reader.ts'
import { smallFromFrames } from '../../local/compression/small-frames.ts'
import { decodeSync } from '../../local/compression.ts'
import { otherBytes } from '../connection-fault.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import { once } from '../new-blob.ts'
import type { BatchItem } from './batch-queue.ts'
import type { ReadAnswer } from './batch-read-answer.ts'
import { BATCH_READ, BATCH_UPDATE } from './reapi-methods.ts'
import { keepFault, statusFault } from './status-fault.ts'

const digestFunction = DigestFunction_Value.SHA256
/** A digest, a status and their fields. */
const ITEM_BYTES = 200

/** A blob to be read or written with others; its group is the instance. */
export interface SmallBlob extends BatchItem {
  readonly digest: Digest
}

export interface NewBlob extends SmallBlob {
  readonly data: Buffer
  readonly compressor: Compressor_Value
}

/** A blob that came, checked. */
export interface CameBlob {
  readonly bytes: Uint8Array
  /** What it came in, where that is smaller. None of the smallest: they are kept with others in one. */
  readonly frame?: Uint8Array
}

/** From here on a blob has a frame of its own where it is kept, and gains more by zstd than it costs. */
export const FRAME_FROM_BYTES = 64 << 10
/** To decompress a blob takes 26 us, however small it is: below this size it comes as fast over a network of 500 Mbit/s. */
const WORTH_DECOMPRESSING_BYTES = 4 << 10

export function smallBlob(instance: string, digest: Digest): SmallBlob {
  return { group: instance, digest, bytes: digest.sizeBytes + ITEM_BYTES }
}

/** `frames`: they stand for the blob. */
export function newBlob(instance: string, digest: Digest, bytes: Uint8Array, frames?: Uint8Array): NewBlob {
  const { buffer, byteOffset, length } = frames ?? bytes
  return {
    ...{ group: instance, digest, bytes: length + ITEM_BYTES },
    data: Buffer.from(buffer, byteOffset, length),
    compressor: frames === undefined ? Compressor_Value.IDENTITY : Compressor_Value.ZSTD,
  }
}

/** All of one instance. Each as it is in the answer: the blob, `undefined` where it is not there, or what is wrong with it. */
export async function readSmall(
  channel: GrpcChannel,
  blobs: readonly SmallBlob[],
  hasZstd: boolean,
  signal: AbortSignal,
): Promise<(CameBlob | undefined | Error)[]> {
  const digests = [...new Map(blobs.map(({ digest }) => [keyOf(digest), digest])).values()]
  const request = { instanceName: blobs[0]?.group ?? '', digests, digestFunction }
  const isWorthIt =
    digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / digests.length >= WORTH_DECOMPRESSING_BYTES
  const acceptableCompressors = [hasZstd && isWorthIt ? Compressor_Value.ZSTD : Compressor_Value.IDENTITY]
  const { server } = channel
  try {
    const answers = await channel.unary(BATCH_READ, { ...request, acceptableCompressors }, signal)
    const found = new Map<string, CameBlob | Error>()
    const take = async ({ digest, data, status, compressor }: ReadAnswer) => {
      const fault = faultIn(status)
      if (digest === undefined || fault?.code === GrpcCode.NOT_FOUND) return
      if (fault !== undefined) found.set(keyOf(digest), statusFault(server, fault) as Error)
      else {
        const came = await unpacked(digest, data, compressor)
        found.set(keyOf(digest), came ?? otherBytes(server, digest.hash, `${data.length} other bytes`))
      }
    }
    await Promise.all(answers.map(take))
    return blobs.map(({ digest }) => found.get(keyOf(digest)))
  } catch (error) {
    throw statusFault(server, error)
  }
}

/** Undefined where it is not the blob. */
async function unpacked(digest: Digest, data: Uint8Array, compressor: Compressor_Value): Promise<CameBlob | undefined> {
  if (compressor === Compressor_Value.IDENTITY) return isBlob(digest, data) ? { bytes: data } : undefined
  if (compressor !== Compressor_Value.ZSTD) return undefined
  try {
    if (digest.sizeBytes < FRAME_FROM_BYTES) {
      const bytes = decodeSync('zstd', data, digest.sizeBytes)
      return isBlob(digest, bytes) ? { bytes } : undefined
    }
    const { content, stored } = await smallFromFrames(new FrameReader(once(data)), digest)
    return stored.length < content.length ? { bytes: content, frame: stored } : { bytes: content }
  } catch {
    return undefined
  }
}

/** All of one instance. `true` for each that is kept now. */
export async function writeSmall(
  channel: GrpcChannel,
  blobs: readonly NewBlob[],
  signal: AbortSignal,
): Promise<(true | Error)[]> {
  const unique = new Map(blobs.map(({ digest, data, compressor }) => [keyOf(digest), { digest, data, compressor }]))
  const requests = [...unique.values()]
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
    throw keepFault(server, error)
  }
}

/** INVALID_ARGUMENT is what REAPI has for bytes that are not those of their digest. */
export function refusal({ server }: GrpcChannel, { hash }: Digest, status: unknown): Error {
  if (status instanceof GrpcStatus && status.code === GrpcCode.INVALID_ARGUMENT)
    return new CacheError('store.corrupt', `${server.place} did not take blob ${hash}: ${status.message}`, {
      context: { hash },
    })
  return keepFault(server, status) as Error
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
