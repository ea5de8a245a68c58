import type { Plan } from './plan.ts'

export interface ScheduleOptions {
  readonly concurrency: number
  /** After a failure go on with what does not need the failed task; otherwise only what runs is finished. */
  readonly keepGoing: boolean
  /** Whether no more tasks are to be begun, whatever failed or not. */
  readonly isStopped?: () => boolean
  /** Does one task; false when it failed. It must not reject. */
  readonly run: (name: string) => Promise<boolean>
}

/** Does the tasks of a plan, as many at once as may be, each after those it needs. Returns those that were not begun. */
export async function schedule(plan: Plan, options: ScheduleOptions): Promise<readonly string[]> {
  const waiting = new Map(plan)
  const done = new Set<string>()
  const running = new Set<Promise<void>>()
  let hasFailed = false
  const begin = (name: string) => {
    waiting.delete(name)
    const ending = options.run(name).then((isGood) => {
      running.delete(ending)
      if (isGood) done.add(name)
      else hasFailed = true
    })
    running.add(ending)
  }
  for (;;) {
    if ((!hasFailed || options.keepGoing) && options.isStopped?.() !== true) {
      for (const [name, dependencies] of waiting) {
        if (running.size >= options.concurrency) break
        if (dependencies.every((dependency) => done.has(dependency))) begin(name)
      }
    }
    if (running.size === 0) return [...waiting.keys()]
    await Promise.race(running)
  }
}

/** `4`, or `50%` of the cores; at least one. No text: all cores. */
export function concurrencyOf(text: string | undefined, cores: number): number {
  if (text === undefined) return Math.max(1, cores)
  const amount = Number.parseInt(text, 10)
  return text.endsWith('%') ? Math.max(1, Math.round((cores * amount) / 100)) : amount
}
