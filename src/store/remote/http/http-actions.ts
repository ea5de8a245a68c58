import type { ActionDigest } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { CacheError } from '../../../errors.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { sameOutcome } from '../../action-result-sameness.ts'
import type { ActionLookup, ActionStore, PutOutcome, Scope } from '../../contracts.ts'
import { head } from '../../head.ts'
import { notSpoken } from '../connection-fault.ts'
import { once } from '../new-blob.ts'
import type { HttpClient } from './http-client.ts'

/** Far more than a result with no content in it has. */
const MOST_RESULT_BYTES = 8 << 20

/**
 * The action results of a server with Bazel's HTTP layout: `/ac/{SHA-256 of the Action}`. That a result is complete is the
 * server's word. What that layout cannot say: actions are known by their hash alone, and nothing can be removed.
 */
export function httpActions(client: HttpClient): ActionStore {
  return new HttpActions(client)
}

class HttpActions implements ActionStore {
  readonly #client: HttpClient

  constructor(client: HttpClient) {
    this.#client = client
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    await using answer = await this.#client.ask({ method: 'GET', path: pathOf(scope, action), signal })
    if (answer.status !== 200) return { kind: 'miss', why: 'absent' }
    const { whole: encoded } = await head(answer.body, MOST_RESULT_BYTES, { signal })
    const result = encoded && this.#decoded(encoded)
    if (encoded === undefined || result === undefined) throw notSpoken(this.#client.server, 'HTTP', 'no action result')
    return { kind: 'hit', result, encoded, resultDigest: digestOf(encoded) }
  }

  /** Two round trips: what is there is looked at first. */
  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    const before = await this.get(scope, action, signal)
    const encoded = ActionResult.encode(result).finish()
    const body = { sizeBytes: encoded.length, bytes: once(encoded) }
    await using answer = await this.#client.ask({ method: 'PUT', path: pathOf(scope, action), body, signal })
    const { place } = this.#client.server
    if (answer.status >= 300)
      throw new CacheError('store.incomplete', `${place} did not keep the action result (HTTP ${answer.status}).`, {
        hint: 'A blob that it names is not there, or the result is too large.',
        context: { server: place },
      })
    if (before.kind === 'miss') return 'new'
    return sameOutcome(before.result, result) ? 'same' : 'different'
  }

  /** The layout has no word for it. */
  async remove(): Promise<boolean> {
    return false
  }

  #decoded(encoded: Uint8Array): ActionResult | undefined {
    try {
      return ActionResult.decode(encoded)
    } catch {
      return undefined
    }
  }
}

function pathOf({ instance }: Scope, { hash }: ActionDigest): string {
  return `${instance === '' ? '' : `/${instance}`}/ac/${hash}`
}
