import type { ActionDigest } from '../../digest/digest.ts'
import type { Scope } from '../contracts.ts'
import type { FleetHoldOptions, FleetLeases, FleetTurn } from '../fleet-leases.ts'
import { askAll, Faults, type Shard, type Shards } from './shards.ts'

/**
 * Leases at the first end of an action that has any to give: all who know the same ends ask there. While some see it and others do not,
 * the work may be done twice, as leases allow.
 */
export class ShardedLeases implements FleetLeases {
  readonly #shards: Shards

  constructor(shards: Shards) {
    this.#shards = shards
  }

  async hold(scope: Scope, action: ActionDigest, options: FleetHoldOptions): Promise<FleetTurn> {
    options.signal?.throwIfAborted()
    const faults = new Faults(options.signal)
    for (const { end } of this.#shards.of(action.hash)) {
      if (end.fleetLeases === undefined) continue
      try {
        return await end.fleetLeases.hold(scope, action, options)
      } catch (error) {
        faults.add(error)
      }
    }
    throw faults.first
  }

  /** What one has seen others need not have: all are asked. */
  async usual(scope: Scope, things: readonly string[], signal?: AbortSignal): Promise<readonly (number | undefined)[]> {
    signal?.throwIfAborted()
    const ask = async ({ end }: Shard) => (await end.fleetLeases?.usual(scope, things, signal)) ?? []
    const answers = await askAll(this.#shards.all, ask, signal)
    return things.map((_, i) => answers.map((known) => known[i]).find((ms) => ms !== undefined))
  }
}
