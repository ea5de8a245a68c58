import type { ActionRequest } from '../action/request.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import type { Ledger } from './ledger.ts'
import { thingOf } from './thing.ts'
import { UsualDurations } from './usual-durations.ts'

/** How long a command takes as a rule, in milliseconds. */
export interface Usual {
  /** By its own runs; undefined where it has none. */
  readonly knownMs: number | undefined
  /** The same, or what is likely of one that never ran. */
  readonly likelyMs: number
  /** The same, or the most that may be thought of one that never ran. */
  readonly guessMs: number
}

/** Who never ran may be worth much: a fresh machine waits for answers that it has reason to hope for. */
const UNKNOWN_MS = 10_000
/** A command of which nothing is known may well be longer than the others of its project. */
const TIMES_OTHERS = 2

/** What the ledger says of commands; reads it at the first question. Loaded when a remote cache is asked. */
export class UsualRuns {
  readonly #durations: UsualDurations

  constructor(ledger: Ledger) {
    this.#durations = new UsualDurations(ledger)
  }

  of({ root, workingDirectory, argv }: ActionRequest, task: string | undefined): Usual {
    const knownMs = this.#durations.of(thingOf({ root, workingDirectory, task, argv }))
    const others = this.#durations.ofOthers(root)
    const likelyMs = knownMs ?? others ?? UNKNOWN_MS
    return { knownMs, likelyMs, guessMs: knownMs ?? (others === undefined ? UNKNOWN_MS : TIMES_OTHERS * others) }
  }

  /** A run of this process has ended. */
  add(record: RunRecord): void {
    this.#durations.add(record)
  }
}
