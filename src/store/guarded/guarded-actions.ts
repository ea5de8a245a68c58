import type { ActionDigest } from '../../digest/digest.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionLookup, ActionStore, PutOutcome, Scope } from '../contracts.ts'
import { type GuardedParts, readSide, writeSide } from './guarded-blobs.ts'
import { SharedCalls } from './shared-calls.ts'

export class GuardedActions implements ActionStore {
  readonly #inner: ActionStore
  readonly #parts: GuardedParts
  readonly #gets = new SharedCalls<ActionLookup>()

  constructor(inner: ActionStore, parts: GuardedParts) {
    this.#inner = inner
    this.#parts = parts
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    signal?.throwIfAborted()
    const key = `${action.hash} ${action.sizeBytes} ${scope.instance}`
    return this.#gets.ask(key, (within) => this.#get(scope, action, within), signal)
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    const probe = (within: AbortSignal) => this.#inner.get(scope, action, within)
    const bytes = ActionResult.encode(result).finish().length
    const kind = { what: 'put', side: writeSide(scope), isRepeatable: true, isAwaited: false } as const
    return this.#parts.transfers.run({ ...kind, bytes, probe, signal }, (attempt) =>
      this.#inner.put(scope, action, result, attempt.signal),
    )
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    const probe = (within: AbortSignal) => this.#inner.get(scope, action, within)
    const kind = { what: 'remove', side: writeSide(scope), isRepeatable: false, isAwaited: false } as const
    return this.#parts.transfers.run({ ...kind, bytes: 0, probe, signal: undefined }, () =>
      this.#inner.remove(scope, action),
    )
  }

  #get(scope: Scope, action: ActionDigest, signal: AbortSignal): Promise<ActionLookup> {
    const ask = (within: AbortSignal) => this.#inner.get(scope, action, within)
    return this.#parts.lookUps.ask({ what: 'get', side: readSide(scope), ask, signal })
  }
}
