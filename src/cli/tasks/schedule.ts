import type { CommandTurn } from '../../action/run-outcome.ts'
import { CommandTurns } from './command-turns.ts'
import type { Plan } from './plan.ts'

/** `not-begun`: it did not get its turn; `lacking`: what it needs, done again for it, failed. */
export type TaskEnd = 'good' | 'failed' | 'not-begun' | 'lacking'

export interface ScheduleOptions {
  /** Commands at once. */
  readonly concurrency: number
  /** How many tasks more may be under way, looking up what is kept and waiting for their turn. */
  readonly ahead: number
  /** After a failure go on with what does not need the failed task; otherwise only what runs is finished. */
  readonly keepGoing: boolean
  /** Whether no more tasks are to be begun, whatever failed or not. */
  readonly isStopped?: () => boolean
  /**
   * Does one task, its command in its turn, which is given back for it when it ends. It must not reject: where the turn does, the
   * task has not begun.
   */
  readonly run: (name: string, takeTurn: () => Promise<CommandTurn>) => Promise<TaskEnd>
}

/** Does the tasks of a plan, as many at once as may be, each after those it needs. Returns those that were not begun. */
export async function schedule(plan: Plan, options: ScheduleOptions): Promise<readonly string[]> {
  const waiting = new Map(plan)
  const done = new Set<string>()
  const running = new Set<Promise<void>>()
  const notBegun = new Set<string>()
  let hasFailed = false
  const mayBegin = () => (!hasFailed || options.keepGoing) && options.isStopped?.() !== true
  const turns = new CommandTurns(options.concurrency, mayBegin)
  const begin = (name: string) => {
    waiting.delete(name)
    const taken: CommandTurn[] = []
    const takeTurn = async () => {
      const turn = await turns.take()
      taken.push(turn)
      return turn
    }
    const ending = options.run(name, takeTurn).then((end) => {
      running.delete(ending)
      if (end === 'good') done.add(name)
      if (end === 'failed' || end === 'lacking') hasFailed = true
      if (end === 'not-begun' || end === 'lacking') notBegun.add(name)
      // Only now: after a failure nobody else is to have it.
      for (const turn of taken) turn.giveBack()
    })
    running.add(ending)
  }
  for (;;) {
    if (mayBegin()) {
      for (const [name, dependencies] of waiting) {
        if (running.size >= options.concurrency + options.ahead) break
        if (dependencies.every((dependency) => done.has(dependency))) begin(name)
      }
    }
    if (running.size === 0) return [...plan.keys()].filter((name) => waiting.has(name) || notBegun.has(name))
    await Promise.race(running)
  }
}

/** `4`, or `50%` of the cores; at least one. No text: all cores. */
export function concurrencyOf(text: string | undefined, cores: number): number {
  if (text === undefined) return Math.max(1, cores)
  const amount = Number.parseInt(text, 10)
  return text.endsWith('%') ? Math.max(1, Math.round((cores * amount) / 100)) : amount
}
