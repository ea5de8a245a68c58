import { CacheError } from '../../errors.ts'
import { Amendments, type Appended, appendRecords, cutBack } from './append-records.ts'
import { explained, isDiskFull } from './explained.ts'
import { type HeldSegment, letGoOf, SEGMENT_BYTES, type SegmentsOptions, takeSegment } from './held-segment.ts'
import { setIndexed } from './recover.ts'
import type { NewRecord, RecordPlace } from './segment.ts'
import { highestStamp, raiseStamp, stampAfter } from './stamps.ts'

/** The writing half of the journal: this process's own segment, held by a lease from the first write on. */
export interface Journal extends AsyncDisposable {
  /**
   * Appends the records, then runs `apply` with their places in a write transaction that makes them visible; done when
   * both are. What is asked for at the same time shares one append and one transaction, each `apply` in the order of
   * asking. An `apply` that throws fails its own caller alone, and must do so before it changes anything: its records then
   * are void.
   */
  commit<T>(records: readonly NewRecord[], apply: Apply<T>): Promise<T>
  /** The segment this process writes to, which it then keeps until the pin is let go: its number is in names of files. */
  pin(): Promise<SegmentPin>
  /** Goes on in another segment, unless this one is pinned: for the collector, who can then copy what lives out of it. */
  rotate(): Promise<void>
}

/** What happens in the transaction. */
export type Apply<T> = (places: readonly RecordPlace[], commit: Commit) => T

export interface Commit {
  /** For the rows: the records' stamp as whole Unix milliseconds, or the time now where that is earlier, as after a clock was set back. */
  readonly timeMs: number
  /** The records shall not count: what they say is so already. */
  readonly withdraw: () => void
}

export interface SegmentPin extends Disposable {
  readonly segment: number
}

/** `durability` `full`: on the disk before it is visible. */
export interface JournalOptions extends SegmentsOptions {
  readonly now: () => number
  /** Told of each large append how many bytes it was and how long the medium took. */
  readonly onAppend?: (bytes: number, ms: number) => void
  /** Told when something could not be kept for want of room. */
  readonly onFull?: () => void
}

/** Nothing is opened or taken before the first write. */
export function openJournal(options: JournalOptions): Journal {
  return new SegmentJournal(options)
}

interface Entry {
  readonly records: readonly NewRecord[]
  readonly apply: Apply<unknown>
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

class SegmentJournal implements Journal {
  readonly #options: JournalOptions
  #segment: HeldSegment | undefined
  #taking: Promise<HeldSegment> | undefined
  #pins = 0
  #isRotating = false
  #lastStampMs = 0
  #queue: Entry[] = []
  #draining: Promise<void> | undefined

  constructor(options: JournalOptions) {
    this.#options = options
  }

  commit<T>(records: readonly NewRecord[], apply: Apply<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#queue.push({ records, apply, resolve, reject })
    this.#draining ??= this.#drain()
    return promise
  }

  async pin(): Promise<SegmentPin> {
    this.#pins++
    try {
      const { number } = await this.#take()
      return { segment: number, [Symbol.dispose]: () => void this.#pins-- }
    } catch (error) {
      this.#pins--
      throw explained(error, this.#options.layout.dir)
    }
  }

  async rotate(): Promise<void> {
    if (this.#segment === undefined || this.#pins > 0) return
    this.#isRotating = true
    await this.commit([], () => undefined)
  }

  async #drain(): Promise<void> {
    // So that all that is asked for in this turn goes together.
    await undefined
    while (this.#queue.length > 0) {
      const entries = this.#queue
      this.#queue = []
      try {
        await this.#commitAll(entries)
      } catch (error) {
        const failure = explained(error, this.#options.layout.dir)
        if (isDiskFull(failure)) this.#options.onFull?.()
        for (const entry of entries) entry.reject(failure)
      }
    }
    this.#draining = undefined
  }

  async #commitAll(entries: readonly Entry[]): Promise<void> {
    const isFull = this.#segment !== undefined && this.#segment.size > SEGMENT_BYTES
    const left = this.#isRotating ? this.#segment?.number : undefined
    if (this.#pins === 0 && (isFull || left !== undefined)) await this.#letGo()
    this.#isRotating = false
    const segment = await this.#take(left)
    const before = segment.size
    const stampMs = this.#nextStamp()
    const { durability, onAppend } = this.#options
    const lists = entries.map(({ records }) => records)
    const appended = await appendRecords(segment, lists, { stampMs, durability, onAppend })
    const outcomes = await this.#apply(segment, entries, appended, stampMs).catch(async (error: unknown) => {
      await cutBack(segment, before)
      throw error
    })
    outcomes.forEach((outcome, i) => {
      const entry = entries[i] as Entry
      if ('error' in outcome) entry.reject(outcome.error)
      else entry.resolve(outcome.value as never)
    })
  }

  /** By what this process knows: what others have committed since is seen in the transaction, and seldom later than now. */
  #nextStamp(): number {
    return stampAfter(this.#lastStampMs, this.#options.now())
  }

  #apply(
    segment: HeldSegment,
    entries: readonly Entry[],
    appended: readonly Appended[],
    appendedMs: number,
  ): Promise<Outcome[]> {
    const { index, now } = this.#options
    return index.write(() => {
      const amended = new Amendments(segment.file)
      const highestMs = highestStamp(index)
      const stampMs = appendedMs > highestMs ? appendedMs : stampAfter(highestMs, appendedMs)
      // Others have committed since the append: what is visible later is to be later in the journal, too.
      if (stampMs !== appendedMs) for (const { headers } of appended) amended.restamp(headers, stampMs)
      const timeMs = Math.floor(Math.min(stampMs, now()))
      const done = entries.map((entry, i) => {
        const { places, headers } = appended[i] as Appended
        const withdraw = () => amended.makeVoid(headers)
        const outcome = outcomeOf(() => entry.apply(places, { timeMs, withdraw }))
        if ('error' in outcome) withdraw()
        return outcome
      })
      if (this.#options.durability === 'full') amended.sync()
      raiseStamp(index, stampMs)
      this.#lastStampMs = stampMs
      setIndexed(index, segment.number, segment.size)
      return done
    })
  }

  async #take(except?: number): Promise<HeldSegment> {
    if (this.#segment !== undefined) return this.#segment
    this.#taking ??= takeSegment(this.#options, except).finally(() => {
      this.#taking = undefined
    })
    this.#segment = await this.#taking
    return this.#segment
  }

  async #letGo(): Promise<void> {
    const segment = this.#segment
    this.#segment = undefined
    if (segment !== undefined) await letGoOf(segment)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#draining
    await this.#letGo()
  }
}

type Outcome = { value: unknown } | { error: unknown }

function outcomeOf(work: () => unknown): Outcome {
  try {
    return { value: work() }
  } catch (error) {
    if (error instanceof CacheError) return { error }
    throw error
  }
}
