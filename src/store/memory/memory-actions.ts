import { type ActionDigest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { sameOutcome } from '../action-result-sameness.ts'
import type { ActionLookup, ActionStore, BlobStore, PutOutcome, Scope } from '../contracts.ts'
import { isWhole } from '../named-blobs.ts'

/** Action results in a map, over the blobs they name. */
export function memoryActions(blobs: BlobStore): ActionStore {
  return new MemoryActions(blobs)
}

class MemoryActions implements ActionStore {
  readonly #blobs: BlobStore
  readonly #results = new Map<string, { readonly actionBytes: number; readonly bytes: Uint8Array }>()

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    signal?.throwIfAborted()
    const kept = this.#results.get(keyOf(scope, action))
    if (kept === undefined || (kept.actionBytes !== action.sizeBytes && action.sizeBytes !== UNKNOWN_BYTES))
      return { kind: 'miss', why: 'absent' }
    const { bytes } = kept
    const result = ActionResult.decode(bytes)
    if (!(await isWhole(this.#blobs, scope, result, signal))) return { kind: 'miss', why: 'incomplete' }
    return { kind: 'hit', result, encoded: bytes, resultDigest: digestOf(bytes) }
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    signal?.throwIfAborted()
    if (!(await isWhole(this.#blobs, scope, result, signal)))
      throw new CacheError(
        'store.incomplete',
        'The action result was not kept: a blob that it names is not in the store.',
      )
    const key = keyOf(scope, action)
    const before = this.#results.get(key)
    this.#results.set(key, { actionBytes: action.sizeBytes, bytes: ActionResult.encode(result).finish() })
    if (before === undefined) return 'new'
    return sameOutcome(ActionResult.decode(before.bytes), result) ? 'same' : 'different'
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    return this.#results.delete(keyOf(scope, action))
  }
}

function keyOf(scope: Scope, action: ActionDigest): string {
  return `${action.hash}/${scope.instance}`
}
