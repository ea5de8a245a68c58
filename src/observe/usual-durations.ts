import type { RunRecord } from '../proto/recue/v1/recue.ts'
import type { Ledger } from './ledger.ts'

/** Runs of one thing that count: a median of so few shrugs at one that waited or was disturbed. */
const MOST_OF_ONE = 5
/** Some 10 ms of reading, once in a process. */
const MOST_RECORDS = 2_000
/** Of fewer others nothing is guessed. */
const LEAST_OTHERS = 5

/** How long commands take as a rule, by the runs that the ledger has from lately. Reads it at the first question. */
export class UsualDurations {
  readonly #ledger: Pick<Ledger, 'records'>
  #known: Known | undefined

  constructor(ledger: Pick<Ledger, 'records'>) {
    this.#ledger = ledger
  }

  /** Milliseconds; undefined where it has not run, or not to a good end. */
  of(thing: string): number | undefined {
    const runs = this.#all().byThing.get(thing)
    return runs?.toSorted((a, b) => a - b)[Math.floor(runs.length / 2)]
  }

  /** What a command of this root takes on average of which nothing is known but others; undefined where they are too few. */
  ofOthers(root: string): number | undefined {
    const { sumMs = 0, count = 0 } = this.#all().byRoot.get(root) ?? {}
    return count < LEAST_OTHERS ? undefined : sumMs / count
  }

  #all(): Known {
    this.#known ??= readKnown(this.#ledger)
    return this.#known
  }
}

interface Known {
  readonly byThing: ReadonlyMap<string, readonly number[]>
  readonly byRoot: ReadonlyMap<string, { readonly sumMs: number; readonly count: number }>
}

function readKnown(ledger: Pick<Ledger, 'records'>): Known {
  const byThing = new Map<string, number[]>()
  const byRoot = new Map<string, { sumMs: number; count: number }>()
  let left = MOST_RECORDS
  for (const record of ledger.records({ newestFirst: true })) {
    if (left-- === 0) break
    const ms = commandMs(record)
    if (ms === undefined) continue
    const runs = byThing.get(record.thing)
    if (runs === undefined) byThing.set(record.thing, [ms])
    else if (runs.length < MOST_OF_ONE) runs.push(ms)
    const others = byRoot.get(record.root) ?? { sumMs: 0, count: 0 }
    byRoot.set(record.root, { sumMs: others.sumMs + ms, count: others.count + 1 })
  }
  return { byThing, byRoot }
}

/** What the command itself took; of a hit, what it took when it ran. Undefined of one that says nothing of it. */
function commandMs({ status, exitCode, durationMs, ownUs, savedMs, tool }: RunRecord): number | undefined {
  if (tool !== '' || exitCode !== 0) return undefined
  if (status !== 'hit') return Math.max(0, durationMs - ownUs / 1000)
  // Saved nothing: it was as quick as its replay, or quicker.
  return savedMs === 0 ? undefined : savedMs + durationMs
}
