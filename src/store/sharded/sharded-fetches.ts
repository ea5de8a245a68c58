import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import type { Scope } from '../contracts.ts'
import type { Fetches, NearStore } from '../remote/remote-end.ts'
import type { ShardedBlobs } from './sharded-blobs.ts'
import { Faults, type Shard } from './shards.ts'

/** Blobs into a store here, each from the first of its ends that has it. What broke off is begun anew with the next. */
export class ShardedFetches implements Fetches {
  readonly #blobs: ShardedBlobs

  constructor(blobs: ShardedBlobs) {
    this.#blobs = blobs
  }

  async fetchInto(scope: Scope, digest: Digest, near: NearStore, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted()
    const faults = new Faults(signal)
    const lacking: Shard[] = []
    let hasAnswer = false
    for (const shard of this.#blobs.shardsOf(digest)) {
      try {
        if (await shard.end.fetches?.fetchInto(scope, digest, near, signal)) {
          if (lacking.length > 0) this.#blobs.repair(scope, digest, shard, lacking)
          return true
        }
        hasAnswer = true
        lacking.push(shard)
      } catch (error) {
        if (isNears(error)) throw error
        faults.add(error)
        if (isCorrupt(error)) lacking.push(shard)
      }
    }
    if (!hasAnswer) throw faults.first
    return false
  }
}

/** What the store here cannot keep it will not keep from another end. */
function isNears(error: unknown): boolean {
  return isCacheError(error) && error.code.startsWith('store.') && !isCorrupt(error)
}

function isCorrupt(error: unknown): boolean {
  return isCacheError(error) && error.code === 'store.corrupt'
}
