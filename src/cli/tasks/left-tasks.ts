import type { LeftOutputs } from '../../action/outputs/left-outputs.ts'
import type { CommandTurn, LeftBefore } from '../../action/run-outcome.ts'
import { Turns } from '../../store/tiered/turns.ts'
import { NO_MORE } from './command-turns.ts'
import { dependenciesOf, type Plan } from './plan.ts'
import type { TaskEnd } from './schedule.ts'

/** What is thrown to a task that builds on another whose outputs were left, and which failed when they were to be had after all. */
export const NOT_FETCHED: Error = new Error('what was left could not be made either')

type TakeTurn = () => Promise<CommandTurn>

/** How many tasks are done again at the same time; their commands take turns besides. */
const AT_ONCE = 16

/** Tasks of a plan whose outputs were left at a remote cache, until a command needs them. */
export class LeftTasks {
  readonly #plan: Plan
  readonly #again: (name: string, takeTurn: TakeTurn) => Promise<TaskEnd>
  readonly #left = new Map<string, LeftOutputs>()
  readonly #fetches = new Map<string, Promise<void>>()
  readonly #turns = new Turns(AT_ONCE)

  /** `again` does a task once more, so that its outputs are there; its command runs where they cannot be fetched. Never rejects. */
  constructor(plan: Plan, again: (name: string, takeTurn: TakeTurn) => Promise<TaskEnd>) {
    this.#plan = plan
    this.#again = again
  }

  add(name: string, outputs: LeftOutputs): void {
    this.#left.set(name, outputs)
  }

  /** What a task builds on, be it by way of others, and is not there; undefined where all is. Rejects as a fetch does. */
  async before(name: string, takeTurn: TakeTurn): Promise<LeftBefore | undefined> {
    const needed = dependenciesOf(name, this.#plan)
    await all(needed.map((dependency) => this.#fetches.get(dependency)))
    const left = needed.filter((dependency) => this.#left.has(dependency))
    if (left.length === 0) return undefined
    return {
      outputs: left.map((dependency) => this.#left.get(dependency) as LeftOutputs),
      fetch: () => all(left.map((dependency) => this.#fetch(dependency, takeTurn))),
    }
  }

  #fetch(name: string, takeTurn: TakeTurn): Promise<void> {
    const known = this.#fetches.get(name)
    if (known !== undefined) return known
    const fetching = this.#doAgain(name, takeTurn)
    this.#fetches.set(name, fetching)
    return fetching
  }

  /** What it builds on itself comes first: its key is made of that, and its command may have to run. */
  async #doAgain(name: string, takeTurn: TakeTurn): Promise<void> {
    const before = await this.before(name, takeTurn)
    await before?.fetch()
    using _turn = await this.#turns.next()
    const end = await this.#again(name, takeTurn)
    if (end !== 'good') throw end === 'failed' ? NOT_FETCHED : NO_MORE
    this.#left.delete(name)
  }
}

/** Ends when all of them have, well or not. */
async function all(works: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === 'rejected') throw end.reason
}
