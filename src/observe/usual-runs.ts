import type { ActionRequest } from '../action/request.ts'
import type { Ledger } from './ledger.ts'
import { thingOf } from './thing.ts'
import { UsualDurations } from './usual-durations.ts'

/** How long a command takes as a rule, in milliseconds. */
export interface Usual {
  /** By its own runs; undefined where it has none. */
  readonly knownMs: number | undefined
  /** The same, or what may be thought of one that never ran. */
  readonly guessMs: number
}

/** Who never ran may be worth much: a fresh machine waits for answers that it has reason to hope for. */
const UNKNOWN_MS = 10_000
/** A command of which nothing is known may well be longer than the others of its project. */
const TIMES_OTHERS = 2

/** What the ledger says of commands; reads it at the first question. Loaded when a remote cache is asked. */
export function usualRuns(ledger: Ledger): (request: ActionRequest, task: string | undefined) => Usual {
  const durations = new UsualDurations(ledger)
  return ({ root, workingDirectory, argv }, task) => {
    const knownMs = durations.of(thingOf({ root, workingDirectory, task, argv }))
    const others = durations.ofOthers(root)
    return { knownMs, guessMs: knownMs ?? (others === undefined ? UNKNOWN_MS : TIMES_OTHERS * others) }
  }
}
