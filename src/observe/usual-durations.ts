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

  /** A run of this process, which has ended. Nothing to do before the first question: it is in the ledger by then. */
  add(record: RunRecord): void {
    if (this.#known !== undefined) count(this.#known, record, 'newest')
  }

  #all(): Known {
    this.#known ??= readKnown(this.#ledger)
    return this.#known
  }
}

interface Known {
  /** The newest first. */
  readonly byThing: Map<string, number[]>
  readonly byRoot: Map<string, { readonly sumMs: number; readonly count: number }>
}

function readKnown(ledger: Pick<Ledger, 'records'>): Known {
  const known: Known = { byThing: new Map(), byRoot: new Map() }
  let left = MOST_RECORDS
  for (const record of ledger.records({ newestFirst: true })) {
    if (left-- === 0) break
    count(known, record, 'oldest')
  }
  return known
}

function count({ byThing, byRoot }: Known, record: RunRecord, place: 'newest' | 'oldest'): void {
  const ms = commandMs(record)
  if (ms === undefined) return
  const runs = byThing.get(record.thing) ?? []
  byThing.set(record.thing, (place === 'newest' ? [ms, ...runs] : [...runs, ms]).slice(0, MOST_OF_ONE))
  const others = byRoot.get(record.root) ?? { sumMs: 0, count: 0 }
  byRoot.set(record.root, { sumMs: others.sumMs + ms, count: others.count + 1 })
}

/** What the command itself took; of a hit, what it took when it ran. Undefined of one that says nothing of it. */
function commandMs({ status, exitCode, durationMs, ownUs, savedMs, tool }: RunRecord): number | undefined {
  if (tool !== '' || exitCode !== 0) return undefined
  if (status !== 'hit') return Math.max(0, durationMs - ownUs / 1000)
  // Saved nothing: it was as quick as its replay, or quicker.
  return savedMs === 0 ? undefined : savedMs + durationMs
}
