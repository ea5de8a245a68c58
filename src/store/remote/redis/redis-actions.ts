import { type ActionDigest, UNKNOWN_BYTES } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { CacheError } from '../../../errors.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { sameOutcome } from '../../action-result-sameness.ts'
import type { ActionLookup, ActionStore, BlobStore, PutOutcome, Scope } from '../../contracts.ts'
import { reportCorruption } from '../../local/corrupt.ts'
import { isWhole } from '../../named-blobs.ts'
import type { RedisClient } from './redis-client.ts'
import { numberIn, requireOk, valueIn } from './redis-fault.ts'
import { actionKey } from './redis-keys.ts'
import { decodedResult, encodedResult, type KeptResult } from './result-value.ts'
import type { Touches } from './touches.ts'

/** Far more than a result with no content in it has. */
const MOST_RESULT_BYTES = 8 << 20
/** How much it is taken for before it is here. */
const USUAL_BYTES = 16 << 10

/** Action results in a Redis, over blobs that may lie there or elsewhere: that a result is complete is looked up at each `get`. */
export function redisActions(client: RedisClient, touches: Touches, blobs: BlobStore): ActionStore {
  return new RedisActions(client, touches, blobs)
}

class RedisActions implements ActionStore {
  readonly #client: RedisClient
  readonly #touches: Touches
  readonly #blobs: BlobStore

  constructor(client: RedisClient, touches: Touches, blobs: BlobStore) {
    this.#client = client
    this.#touches = touches
    this.#blobs = blobs
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    const { server } = this.#client
    const key = actionKey(scope, action)
    const reply = this.#client.ask({ args: ['GET', key], bytes: USUAL_BYTES }, signal)
    const touch = this.#touches.due(key)
    if (touch !== undefined) void this.#client.ask(touch).catch(() => undefined)
    const value = valueIn(server, await reply)
    if (value === undefined) {
      this.#touches.forget(key)
      return { kind: 'miss', why: 'absent' }
    }
    const kept = decodedResult(key, value)
    const result = kept && decoded(kept)
    if (kept === undefined || result === undefined) {
      reportCorruption('an action result of a remote cache', `${server.place}: ${key}`)
      return { kind: 'miss', why: 'corrupt' }
    }
    if (kept.actionBytes !== action.sizeBytes && action.sizeBytes !== UNKNOWN_BYTES)
      return { kind: 'miss', why: 'absent' }
    if (!(await isWhole(this.#blobs, scope, result, signal))) return { kind: 'miss', why: 'incomplete' }
    return { kind: 'hit', result, encoded: kept.encoded, resultDigest: digestOf(kept.encoded) }
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    signal?.throwIfAborted()
    const { server } = this.#client
    const encoded = ActionResult.encode(result).finish()
    if (encoded.length > MOST_RESULT_BYTES)
      throw new CacheError('store.too-large', `${server.place} keeps no action result of ${encoded.length} bytes.`)
    if (!(await isWhole(this.#blobs, scope, result, signal)))
      throw new CacheError(
        'store.incomplete',
        'The action result was not kept: a blob that it names is not in the store.',
      )
    const key = actionKey(scope, action)
    const value = encodedResult(key, { actionBytes: action.sizeBytes, encoded })
    const [reply, done] = await this.#client.askAll(
      [{ args: ['GET', key] }, { args: ['SET', key, value, 'PX', server.ttlMs], bytes: value.length }],
      signal,
    )
    requireOk(server, done)
    const before = valueIn(server, reply)
    const kept = before && decodedResult(key, before)
    const was = kept && decoded(kept)
    if (was === undefined) return 'new'
    return sameOutcome(was, result) ? 'same' : 'different'
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    const key = actionKey(scope, action)
    this.#touches.forget(key)
    return numberIn(this.#client.server, await this.#client.ask({ args: ['DEL', key] })) > 0
  }
}

function decoded({ encoded }: KeptResult): ActionResult | undefined {
  try {
    return ActionResult.decode(encoded)
  } catch {
    return undefined
  }
}
