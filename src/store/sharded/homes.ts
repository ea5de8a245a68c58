import type { Digest } from '../../digest/digest.ts'
import type { Shard } from './shards.ts'

/** About 200 bytes each. */
const MOST_HOMES = 50_000

/** Where blobs were found beside a result, so that they are read there: they came with it, or are at hand where it was. */
export class Homes {
  readonly #homes = new Map<string, Shard>()

  note(shard: Shard, digests: readonly Digest[]): void {
    for (const { hash } of digests) {
      this.#homes.delete(hash)
      this.#homes.set(hash, shard)
    }
    for (const oldest of this.#homes.keys()) {
      if (this.#homes.size <= MOST_HOMES) break
      this.#homes.delete(oldest)
    }
  }

  of({ hash }: Digest): Shard | undefined {
    return this.#homes.get(hash)
  }
}
