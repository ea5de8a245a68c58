import { type Stats, statSync } from 'node:fs'
import type { StreamName } from '../../action/run/stream-order.ts'
import type { Witness } from '../../action/witness.ts'
import type { TreeSnapshot } from '../../digest/tree-snapshot.ts'
import { selfCommand } from '../self-command.ts'

/** What is printed by a command whose hits are to be repeated; more of it is read from the cache. */
const MOST_PRINTED_BYTES = 64 << 10

/** One run's witness: what its hit rests on, and what it printed. */
export class HitWitness implements Witness {
  readonly startedMs: number = Date.now()
  readonly places = new Map<string, Stats | undefined>()
  readonly followed = new Map<string, Stats | undefined>()
  readonly chunks: [StreamName, Buffer][] = []
  keyedNames: readonly string[] = []
  inputs: TreeSnapshot | undefined
  outputs: TreeSnapshot | undefined
  #isSure = true
  #printedBytes = 0

  constructor() {
    // Another recue may come to something else.
    for (const path of selfCommand())
      if (path.startsWith('/')) this.saw(path, statSync(path, { throwIfNoEntry: false }), true)
  }

  /** All is known that the hit rests on. */
  get isSure(): boolean {
    return this.#isSure && this.inputs !== undefined && this.outputs !== undefined
  }

  saw(path: string, stats: Stats | undefined, isFollowed: boolean): void {
    // A link's own looks say nothing of what was read by it.
    if (!isFollowed && stats?.isSymbolicLink()) this.#isSure = false
    const seen = isFollowed ? this.followed : this.places
    if (!seen.has(path)) seen.set(path, stats)
  }

  held(what: 'inputs' | 'outputs', snapshot: TreeSnapshot): void {
    this[what] = snapshot
  }

  keyed(names: readonly string[]): void {
    this.keyedNames = names
  }

  unsure(): void {
    this.#isSure = false
  }

  printed(stream: StreamName, chunk: Uint8Array): void {
    this.#printedBytes += chunk.length
    if (this.#printedBytes > MOST_PRINTED_BYTES) this.#isSure = false
    else this.chunks.push([stream, Buffer.from(chunk)])
  }
}
