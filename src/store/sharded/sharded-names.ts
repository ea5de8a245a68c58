import type { Digest } from '../../digest/digest.ts'
import type { BlobNames, Scope } from '../contracts.ts'
import { InTurn } from './in-turn.ts'
import type { ShardedParts } from './shards.ts'

/** Digests of blobs by their hash, by which they are placed. */
export class ShardedNames implements BlobNames {
  readonly #parts: ShardedParts

  constructor(parts: ShardedParts) {
    this.#parts = parts
  }

  async digestOf(scope: Scope, hash: string, signal?: AbortSignal): Promise<Digest | undefined> {
    const { shards, patience } = this.#parts
    const ends = new InTurn(shards.of(hash), {
      ...{ patience, kind: 'look-up', signal },
      ask: async ({ end }, within) => end.names?.digestOf(scope, hash, within),
    })
    try {
      return (await ends.next())?.value
    } finally {
      ends.over()
    }
  }
}
