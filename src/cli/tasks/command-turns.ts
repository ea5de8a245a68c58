import type { CommandTurn } from '../../action/run-outcome.ts'

/** What is thrown to who waits for a turn when no more commands are begun. */
export const NO_MORE: Error = new Error('no more commands are begun')

interface Waiter {
  readonly wake: () => void
  readonly leave: (reason: Error) => void
}

/** How many commands run at once, in the order in which they asked. */
export class CommandTurns {
  #free: number
  readonly #waiting: Waiter[] = []
  readonly #mayBegin: () => boolean

  constructor(atOnce: number, mayBegin: () => boolean) {
    this.#free = atOnce
    this.#mayBegin = mayBegin
  }

  async take(): Promise<CommandTurn> {
    if (!this.#mayBegin()) throw NO_MORE
    const hasWaited = this.#free === 0
    if (!hasWaited) this.#free--
    else await new Promise<void>((wake, leave) => this.#waiting.push({ wake, leave }))
    let isOurs = true
    const giveBack = () => {
      if (isOurs) this.#passOn()
      isOurs = false
    }
    return { hasWaited, giveBack }
  }

  #passOn(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else if (this.#mayBegin()) next.wake()
    else {
      this.#free++
      for (const { leave } of [next, ...this.#waiting.splice(0)]) leave(NO_MORE)
    }
  }
}
