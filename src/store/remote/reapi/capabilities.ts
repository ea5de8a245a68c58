import { CacheError } from '../../../errors.ts'
import {
  Compressor_Value,
  DigestFunction_Value,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import type { RemoteServer } from '../remote-server.ts'
import { abortable } from '../waiting.ts'
import type { BatchLimits } from './batch-queue.ts'
import { GET_CAPABILITIES } from './reapi-methods.ts'
import type { CacheCapabilities } from './server-capabilities.ts'
import { statusFault } from './status-fault.ts'

/** gRPC's servers take messages of 4 MiB unless they are told otherwise. */
const MOST_BATCH_BYTES = 4_000_000
/** 10,000 digests are 700 KB, far below that. */
const MOST_BATCH_ITEMS = 10_000

export interface Capabilities {
  /** Of small blobs in one call, and of digests. */
  readonly batch: BatchLimits
  /** False: nobody may put results, or this token may not. */
  readonly takesResults: boolean
  /** It gives blobs as zstd, and takes them so one by one; */
  readonly hasZstd: boolean
  /** in batches, too. */
  readonly takesZstdBatches: boolean
}

/** What the server can, asked once; after a failure, again. */
export class AskedCapabilities {
  readonly #channel: GrpcChannel
  /** By instance: a server may hold several of different kinds. */
  readonly #asked = new Map<string, Promise<Capabilities>>()
  readonly #known = new Map<string, Capabilities>()

  constructor(channel: GrpcChannel) {
    this.#channel = channel
  }

  /** Undefined until the server has said it. */
  known(instanceName: string): Capabilities | undefined {
    return this.#known.get(instanceName)
  }

  /** Throws `remote.incompatible` for a server that is of no use to us. */
  get(instanceName: string, signal?: AbortSignal): Promise<Capabilities> {
    const asked = this.#asked.get(instanceName) ?? this.#ask(instanceName)
    this.#asked.set(instanceName, asked)
    return abortable(asked, signal)
  }

  async #ask(instanceName: string): Promise<Capabilities> {
    const { server } = this.#channel
    try {
      const found = capabilitiesIn(await this.#channel.unary(GET_CAPABILITIES, { instanceName }), server)
      this.#known.set(instanceName, found)
      return found
    } catch (error) {
      this.#asked.delete(instanceName)
      throw statusFault(server, error)
    }
  }
}

function capabilitiesIn(cache: CacheCapabilities | undefined, { place }: RemoteServer): Capabilities {
  if (cache === undefined)
    throw unfit(place, 'keeps no cache', 'It may only execute actions; name the cache beside it.')
  if (!cache.digestFunctions.includes(DigestFunction_Value.SHA256))
    throw unfit(place, 'does not know blobs by SHA-256', 'Start it so that it takes digests by SHA256.')
  const { maxBatchTotalSizeBytes: most } = cache
  return {
    batch: { mostBytes: most > 0 ? Math.min(most, MOST_BATCH_BYTES) : MOST_BATCH_BYTES, mostItems: MOST_BATCH_ITEMS },
    takesResults: cache.updateEnabled,
    hasZstd: cache.compressors.includes(Compressor_Value.ZSTD),
    takesZstdBatches: cache.batchUpdateCompressors.includes(Compressor_Value.ZSTD),
  }
}

function unfit(server: string, what: string, hint: string): CacheError {
  return new CacheError('remote.incompatible', `${server} ${what}.`, { hint, context: { server } })
}
