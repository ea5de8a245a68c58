import type { ActionDigest } from '../../digest/digest.ts'
import type { ActionLookup, Scope } from '../contracts.ts'
import { abortable } from '../remote/waiting.ts'
import type { FarEnd } from './far-end.ts'
import type { Promotions } from './promotions.ts'
import { Recently } from './recently.ts'
import type { Moved } from './transfers.ts'

type Miss = Extract<ActionLookup, { kind: 'miss' }>
type Hit = Extract<ActionLookup, { kind: 'hit' }>

/** A run that misses looks twice, once before and once after it has waited for its turn: the second time is not worth a round trip. */
const ABSENT_MS = 10_000
const MOST_REMEMBERED = 100_000

/** Action results that near has not got. Equal look-ups at the same time are one; what far has not got is not asked again so soon. */
export class FarActions {
  readonly #far: FarEnd
  readonly #promotions: Promotions
  readonly #asking = new Map<string, Promise<Hit | Miss | undefined>>()
  readonly #absent: Recently

  constructor(far: FarEnd, promotions: Promotions, now: () => number) {
    this.#far = far
    this.#promotions = promotions
    this.#absent = new Recently(MOST_REMEMBERED, ABSENT_MS, now)
  }

  /** What far has, on its way to near already; else `miss`, which is what near said. */
  async get(scope: Scope, action: ActionDigest, miss: Miss, signal?: AbortSignal): Promise<ActionLookup> {
    signal?.throwIfAborted()
    const key = keyOf(scope, action)
    if (this.#absent.has(key)) return miss
    let asking = this.#asking.get(key)
    if (asking === undefined) {
      asking = this.#ask(key, scope, action).finally(() => this.#asking.delete(key))
      this.#asking.set(key, asking)
    }
    const found = await abortable(asking, signal)
    if (found?.kind === 'hit') return found
    return miss.why === 'absent' && found !== undefined ? found : miss
  }

  /** With its promotion, for those who want to know what comes of it. */
  async pull(scope: Scope, action: ActionDigest): Promise<Moved> {
    const found = await this.#look(scope, action)
    if (found === undefined) return { kind: 'failed', error: this.#far.fault }
    return found.kind === 'miss' ? { kind: 'gone' } : this.#promotions.promote(scope, action, found.result, 'all')
  }

  async #ask(key: string, scope: Scope, action: ActionDigest): Promise<Hit | Miss | undefined> {
    const found = await this.#look(scope, action)
    // After a fault, too: the run that asked has gone on without.
    if (found?.kind !== 'hit') this.#absent.add(key)
    else
      void this.#promotions.promote(scope, action, found.result).then((promoted) => {
        if (promoted.kind === 'gone') this.#absent.add(key)
      })
    return found
  }

  async #look(scope: Scope, action: ActionDigest): Promise<Hit | Miss | undefined> {
    const { place, signal } = this.#far
    const found = await this.#far.attempt('look-up', ({ actions }) => actions.get(scope, action, signal))
    if (found?.kind !== 'hit') return found
    const { result, encoded, resultDigest } = found
    return { kind: 'hit', result, encoded, resultDigest, place: found.place ?? place }
  }
}

function keyOf({ instance }: Scope, { hash, sizeBytes }: ActionDigest): string {
  return `${hash}/${sizeBytes} ${instance}`
}
