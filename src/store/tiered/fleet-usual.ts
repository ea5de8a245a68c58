import type { Scope } from '../contracts.ts'
import { MOST_THINGS } from '../fleet-leases.ts'
import type { FarEnd } from './far-end.ts'

interface Question {
  readonly scope: Scope
  readonly things: Set<string>
}

/** How long others take for what was never done here. Asked in the background, as few times as that can be done. */
export class FleetUsual {
  readonly #far: FarEnd
  readonly #known = new Map<string, number | undefined>()
  readonly #wanted = new Map<string, Question>()
  #isAsking = false

  constructor(far: FarEnd) {
    this.#far = far
  }

  /** Milliseconds; undefined where nobody knows, or has not said so yet. */
  of(scope: Scope, thing: string): number | undefined {
    const key = keyOf(scope, thing)
    if (this.#known.has(key)) return this.#known.get(key)
    const question = this.#wanted.get(scope.instance) ?? { scope, things: new Set() }
    this.#wanted.set(scope.instance, question)
    question.things.add(thing)
    if (!this.#isAsking) void this.#askAll()
    return undefined
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true
    for (let [next] = this.#wanted.values(); next !== undefined; [next] = this.#wanted.values()) {
      const { scope, things } = next
      const asked = [...things].slice(0, MOST_THINGS)
      for (const thing of asked) {
        things.delete(thing)
        this.#known.set(keyOf(scope, thing), undefined)
      }
      if (things.size === 0) this.#wanted.delete(scope.instance)
      const told = await this.#ask(scope, asked)
      for (const [index, thing] of asked.entries()) this.#known.set(keyOf(scope, thing), told[index])
    }
    this.#isAsking = false
  }

  /** Whoever does not answer is not asked again. */
  async #ask(scope: Scope, things: readonly string[]): Promise<readonly (number | undefined)[]> {
    try {
      const { fleetLeases } = await this.#far.opened()
      return (await fleetLeases?.usual(scope, things, this.#far.signal)) ?? []
    } catch {
      return []
    }
  }
}

function keyOf({ instance }: Scope, thing: string): string {
  return `${thing} ${instance}`
}
