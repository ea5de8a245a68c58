import {
  close,
  existsSync,
  fdatasync,
  fdatasyncSync,
  ftruncate,
  mkdirSync,
  open,
  readdirSync,
  statSync,
  writeSync,
  writev,
  writevSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { CacheError, systemCode } from '../../errors.ts'
import type { Lease, Leases } from '../contracts.ts'
import { explained, isDiskFull } from './explained.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, segmentLease, segmentOfName, segmentPath } from './layout.ts'
import { indexedBytes, recoverSegment, setIndexed, stagingSegments } from './recover.ts'
import {
  amendHeader,
  encodeRecord,
  type NewRecord,
  piecesBytes,
  RECORD_HEADER_BYTES,
  type RecordPlace,
} from './segment.ts'
import { highestStamp, raiseStamp, stampAfter } from './stamps.ts'
import { syncFolder } from './sync-folder.ts'

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

export interface JournalOptions {
  readonly layout: Layout
  readonly index: IndexDb
  readonly leases: Leases
  /** `full`: on the disk before it is visible. */
  readonly durability: 'fast' | 'full'
  readonly now: () => number
  /** Told of each append how many bytes it was and how long the medium took. */
  readonly onAppend?: (bytes: number, ms: number) => void
  /** Told when something could not be kept for want of room. */
  readonly onFull?: () => void
}

/** Nothing is opened or taken before the first write. */
export function openJournal(options: JournalOptions): Journal {
  return new SegmentJournal(options)
}

/** A segment is not taken over beyond this size. Large enough that a big store has hundreds, small enough to be copied by the collector in a step. */
export const SEGMENT_BYTES = 64 << 20

interface Segment {
  readonly number: number
  readonly file: number
  readonly lease: Lease
  size: number
}

interface Entry {
  readonly records: readonly NewRecord[]
  readonly apply: Apply<unknown>
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/** Of an append, by entry: where its records lie, and what can still be changed of them. */
interface Appended {
  readonly places: readonly RecordPlace[]
  readonly headers: readonly AppendedHeader[]
}

interface AppendedHeader {
  readonly place: RecordPlace
  readonly bytes: Uint8Array
  readonly isStamped: boolean
}

const openFile = promisify(open)
const closeFile = promisify(close)
const syncFile = promisify(fdatasync)
const cutFile = promisify(ftruncate)

class SegmentJournal implements Journal {
  readonly #options: JournalOptions
  #segment: Segment | undefined
  #taking: Promise<Segment> | undefined
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
    const appended = await this.#append(segment, entries, stampMs)
    const outcomes = await this.#apply(segment, entries, appended, stampMs).catch(async (error: unknown) => {
      // Nobody was told that it is kept, so no rebuild shall find it.
      segment.size = before
      await cutFile(segment.file, before).catch(() => undefined)
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
    segment: Segment,
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

  /** All records in one write at the end of the segment. */
  async #append(segment: Segment, entries: readonly Entry[], stampMs: number): Promise<Appended[]> {
    const pieces: Uint8Array[] = []
    let offset = segment.size
    const appended = entries.map(({ records }) => {
      const headers = records.map((record): AppendedHeader => {
        const encoded = encodeRecord({ ...record, stampMs: record.stampMs ?? stampMs })
        const place = { segment: segment.number, offset, recordBytes: piecesBytes(encoded) }
        pieces.push(...encoded)
        offset += place.recordBytes
        return { place, bytes: encoded[0] as Uint8Array, isStamped: record.stampMs !== undefined }
      })
      return { places: headers.map(({ place }) => place), headers }
    })
    const start = performance.now()
    try {
      await writeAll(segment.file, pieces, segment.size, offset - segment.size)
      if (this.#options.durability === 'full') await syncFile(segment.file)
      this.#options.onAppend?.(offset - segment.size, performance.now() - start)
    } catch (error) {
      // The next append goes to the same place; until then nobody shall find half a record there.
      await cutFile(segment.file, segment.size).catch(() => undefined)
      throw error
    }
    segment.size = offset
    return appended
  }

  async #take(except?: number): Promise<Segment> {
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
    if (segment === undefined) return
    await closeFile(segment.file)
    await segment.lease[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#draining
    await this.#letGo()
  }
}

/** Changes of records that are appended and not yet visible: of their headers, where they lie. */
class Amendments {
  readonly #file: number
  #isAny = false

  constructor(file: number) {
    this.#file = file
  }

  restamp(headers: readonly AppendedHeader[], stampMs: number): void {
    for (const header of headers) if (!header.isStamped) this.#amend(header, { stampMs })
  }

  makeVoid(headers: readonly AppendedHeader[]): void {
    for (const header of headers) this.#amend(header, 'void')
  }

  sync(): void {
    if (this.#isAny) fdatasyncSync(this.#file)
  }

  #amend({ bytes, place }: AppendedHeader, change: { readonly stampMs: number } | 'void'): void {
    amendHeader(bytes, change)
    writeSync(this.#file, bytes, 0, RECORD_HEADER_BYTES, place.offset)
    this.#isAny = true
  }
}

/** A segment with room that nobody holds, or a new one. On the way, the segments of writers that died are recovered. */
async function takeSegment({ layout, index, leases, durability }: JournalOptions, except?: number): Promise<Segment> {
  mkdirSync(layout.journal, { recursive: true, mode: 0o700 })
  const numbers = readdirSync(layout.journal).flatMap((name) => segmentOfName(name) ?? [])
  numbers.sort((a, b) => b - a)
  const unfinished = stagingSegments(layout)
  let taken: { number: number; lease: Lease; size: number } | undefined
  for (const number of numbers) {
    const fileBytes = statSync(segmentPath(layout, number), { throwIfNoEntry: false })?.size ?? 0
    const known = indexedBytes(index, number)
    const isWanted = number !== except && taken === undefined && fileBytes >= known && fileBytes < SEGMENT_BYTES
    if (!isWanted && fileBytes <= known && !unfinished.has(number)) continue
    const lease = await leases.tryHold(segmentLease(number))
    if (lease === undefined) continue
    const size = await recoverHeld(index, layout, number, lease)
    if (isWanted && size !== undefined && size < SEGMENT_BYTES) taken = { number, lease, size }
    else await lease[Symbol.asyncDispose]()
  }
  if (taken !== undefined) return { ...taken, file: await openFile(segmentPath(layout, taken.number), 'r+') }
  const made = await newSegment(layout, index, leases, numbers[0] ?? 0)
  if (durability === 'full') for (const folder of [layout.journal, layout.dir, dirname(layout.dir)]) syncFolder(folder)
  return made
}

/** Undefined: the collector has copied and unlinked it meanwhile. The lease is let go when it fails. */
async function recoverHeld(index: IndexDb, layout: Layout, segment: number, lease: Lease): Promise<number | undefined> {
  try {
    return existsSync(segmentPath(layout, segment)) ? await recoverSegment(index, layout, segment) : undefined
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

/** The collector unlinks segments and leaves the highest one's row, so that no number is used twice. */
function highestIndexed(index: IndexDb): number {
  return Number(index.sql('SELECT max(id) FROM segments').get()?.[0] ?? 0)
}

async function newSegment(layout: Layout, index: IndexDb, leases: Leases, highest: number): Promise<Segment> {
  for (let number = highest + 1; ; number = Math.max(number, highestIndexed(index)) + 1) {
    const lease = await leases.tryHold(segmentLease(number))
    if (lease === undefined) continue
    if (number <= highestIndexed(index)) {
      await lease[Symbol.asyncDispose]()
      continue
    }
    try {
      return { number, lease, size: 0, file: await openFile(segmentPath(layout, number), 'wx', 0o600) }
    } catch (error) {
      await lease[Symbol.asyncDispose]()
      if (systemCode(error) !== 'EEXIST') throw error
    }
  }
}

/** Linux takes 1024 pieces at a time. */
const PIECES_AT_ONCE = 1024
/** So much is in the system's cache before another thread would be awake to write it. */
const AT_ONCE_BYTES = 64 << 10

async function writeAll(file: number, pieces: Uint8Array[], offset: number, bytes: number): Promise<void> {
  let at = offset
  for (let first = 0; first < pieces.length; first += PIECES_AT_ONCE) {
    let rest = pieces.slice(first, first + PIECES_AT_ONCE)
    while (rest.length > 0) {
      const written = bytes <= AT_ONCE_BYTES ? writevSync(file, rest, at) : await writeSome(file, rest, at)
      at += written
      rest = afterBytes(rest, written)
    }
  }
}

function writeSome(file: number, pieces: Uint8Array[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(file, pieces, offset, (error, written) => (error === null ? resolve(written) : reject(error)))
  })
}

/** What is left of the pieces after their first `bytes` bytes: a write may be short. */
function afterBytes(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  const rest: Uint8Array[] = []
  for (const piece of pieces) {
    if (skip < piece.length) rest.push(piece.subarray(skip))
    skip = Math.max(0, skip - piece.length)
  }
  return rest
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
