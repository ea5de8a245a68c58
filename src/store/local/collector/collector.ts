import { setImmediate as breathe } from 'node:timers/promises'
import type { CollectOptions, CollectReport } from '../../contracts.ts'
import { MARK_STEP_MS } from '../marks.ts'
import { pinsAt, sweepPins } from '../pins.ts'
import { accountsOf, diskBytesOf, restBytes } from './accounts.ts'
import { type ActionCensus, takeActionCensus } from './action-census.ts'
import type { Collected } from './collected.ts'
import { type Census, takeCensus } from './collector-census.ts'
import { removeOrphanFiles, unlinkBlobFiles } from './collector-files.ts'
import { Marks } from './collector-marks.ts'
import { listActions, NewActions, removeActions, removeBlobs } from './collector-rows.ts'
import { sweepLocks, sweepStaging, sweepTrash } from './collector-sweep.ts'
import { compactSegments } from './compaction.ts'
import { type EvictionPlan, planEviction, type Targets, targetsOf, victimOf } from './eviction.ts'
import { sweepLent } from './lent-sweep.ts'
import { folderBytes } from './quota-usage.ts'
import { keepReserve } from './reserve.ts'
import { Room } from './room.ts'

/** A blob that no action result names is left for so long after its last use: a save that is under way may be about to name it. */
export const GRACE_MS = 3 * MARK_STEP_MS
/** The same, while the folder is larger than its quota. */
const PRESSED_GRACE_MS = 300_000
/** Trees and the like that are remembered until they are read. */
const UNSETTLED = 5_000
/** Blobs whose marks are looked at between two turns of others. */
const LOOKS_A_STEP = 50_000
/** Victims that are sorted by key before they leave: rows that lie together leave together, which touches fewer pages. */
const VICTIMS_AT_ONCE = 20_000

/**
 * One collection, for the holder of the collector's lease: what outlived its time goes, then the action results that the
 * policy gives up until the rest fits, then the blobs nobody names, then the room they leave in the journal. In small
 * steps, each of them a transaction that looks again before it removes anything: readers and writers go on meanwhile, and
 * whatever moment it is killed at, what is left is whole. Throws the signal's reason when aborted, with what was done
 * until then done.
 */
export async function collect(parts: Collected, options: CollectOptions = {}): Promise<CollectReport> {
  const collection = new Collection(parts, options)
  return collection.run()
}

class Collection {
  readonly #parts: Collected
  readonly #options: CollectOptions
  readonly #startedMs: number
  readonly #isDry: boolean
  readonly #removable: (number: number) => boolean
  readonly #room: Room
  #targets!: Targets
  #census!: Census
  #marks!: Marks
  #news!: NewActions
  #actions!: ActionCensus
  #plan!: EvictionPlan
  #actionBytes = 0
  #graceMs = GRACE_MS
  #pinned = 0
  #evicted = 0
  #removedBlobs = 0
  #plannedBytes = 0

  constructor(parts: Collected, options: CollectOptions) {
    this.#parts = parts
    this.#options = options
    this.#startedMs = parts.now()
    this.#room = new Room(parts)
    this.#isDry = options.dryRun === true
    this.#removable = (number) => this.#isRemovable(number)
  }

  async run(): Promise<CollectReport> {
    const { index, layout, quota } = this.#parts
    await this.#parts.flushMarks()
    this.#room.truncateLog()
    const before = diskBytesOf(index, layout)
    if (!this.#isDry) await this.#sweep()
    this.#targets = targetsOf(index, layout, quota, this.#options.targetBytes)
    await this.#choose()
    await this.#mark()
    await this.#expire()
    await this.#evict()
    if (this.#isDry) return this.#planned(before)
    await this.#removeBlobs()
    await this.#compact()
    await this.#room.giveBackPages(this.#options.signal)
    this.#room.truncateLog()
    keepReserve(layout)
    const diskBytes = diskBytesOf(index, layout)
    return this.#report(Math.max(0, before - diskBytes), diskBytes)
  }

  async #sweep(): Promise<void> {
    const { index, layout, leases, quota } = this.#parts
    await sweepTrash(layout.trash, quota.maxTrashBytes, this.#startedMs)
    await sweepTrash(layout.damaged, quota.maxTrashBytes, this.#startedMs)
    sweepLent(layout.lent, quota.maxLentBytes, this.#startedMs)
    sweepPins(layout, this.#startedMs)
    await this.#room.made(() => sweepStaging(index, layout, leases, this.#startedMs))
    await sweepLocks(layout, leases)
  }

  /** Before the marks, whose memory is taken when that of the policy is free again. */
  async #choose(): Promise<void> {
    const { index, layout, policy, quota } = this.#parts
    const { signal } = this.#options
    // First of all, so that no put can slip in between it and the lists.
    this.#news = new NewActions(index, layout)
    const { actions, age } = accountsOf(index)
    const lookedAt = { nowMs: this.#startedMs, isDry: this.#isDry, signal }
    this.#actions = await takeActionCensus(index, { ...lookedAt, expected: actions })
    const pins = pinsAt(layout, this.#startedMs)
    const { diskBytes, casBytes, entries } = this.#targets
    const isOver = diskBytesOf(index, layout) > diskBytes || casBytes !== Infinity || entries !== Infinity
    this.#plan = await planEviction(this.#actions, pins, { ...lookedAt, ttlMs: quota.ttlMs, policy, age, isOver })
    this.#actions.forgetWorth()
    this.#pinned = pins.size
  }

  async #mark(): Promise<void> {
    const { index, peek } = this.#parts
    const { signal } = this.#options
    this.#census = await takeCensus(index, { nowMs: this.#startedMs, isDry: this.#isDry, signal })
    this.#marks = new Marks(this.#census, peek)
    for await (const { action, result, place } of listActions(index, signal)) {
      this.#marks.add({ action, result })
      this.#actionBytes += place.recordBytes
      if (this.#marks.unsettled > UNSETTLED) await this.#marks.settle(signal)
    }
    await this.#marks.settle(signal)
  }

  async #expire(): Promise<void> {
    const { expired } = this.#plan
    await this.#evictAll(expired, 0)
  }

  async #evict(): Promise<void> {
    const { layout, index } = this.#parts
    const { numbers, ages } = this.#plan.order
    const otherBytes = restBytes(layout)
    const all = accountsOf(index).actions + (this.#isDry ? 0 : this.#evicted)
    let waitingBytes = await this.#waitingBytes()
    const excessBytes = () => {
      const blobBytes = this.#marks.liveBytes + waitingBytes
      const { casBytes, diskBytes } = this.#targets
      return Math.max(blobBytes - casBytes, otherBytes + this.#actionBytes + blobBytes - diskBytes)
    }
    if (excessBytes() > 0) {
      this.#graceMs = PRESSED_GRACE_MS
      waitingBytes = await this.#waitingBytes()
    }
    for (let at = 0; at < numbers.length; ) {
      const victims = this.#victims(numbers.subarray(at), excessBytes(), all - this.#evicted - this.#targets.entries)
      if (victims.length === 0) return
      at += victims.length
      // Numbers are in the order of the keys.
      await this.#evictAll(Uint32Array.from(victims).sort(), ages[at - 1] as number)
    }
  }

  /** Never more than have to go: what one frees is at most the content that it names. */
  #victims(order: Uint32Array, excessBytes: number, excessCount: number): number[] {
    const victims: number[] = []
    let rest = excessBytes
    for (const number of order) {
      if (victims.length === VICTIMS_AT_ONCE || (rest <= 0 && victims.length >= excessCount)) break
      victims.push(number)
      rest -= this.#actions.sizeBytesOf(number)
    }
    return victims
  }

  async #evictAll(numbers: Uint32Array | readonly number[], age: number): Promise<void> {
    const { index, journal, now } = this.#parts
    for (let at = 0, step = 0; at < numbers.length; at += step) {
      step = this.#room.batch
      this.#options.signal?.throwIfAborted()
      const victims = Array.from(numbers.slice(at, at + step), (number) => victimOf(this.#actions, number))
      const gone = await this.#room.made(() =>
        removeActions(index, journal, victims, { nowMs: now(), isDry: this.#isDry, age }),
      )
      for (const { victim, action, result, recordBytes } of gone) {
        this.#actionBytes -= recordBytes
        this.#plannedBytes += recordBytes
        this.#marks.drop({ action, result }, victim.touchedMs)
      }
      await this.#marks.settle()
      // Also past what this writes itself: what is left to look at when blobs are removed is looked at in one go.
      if (!this.#isDry) for (const live of this.#news.take()) this.#marks.add(live)
      this.#evicted += gone.length
      await breathe()
    }
  }

  /** What blobs take that nobody names and that have to stay for now. */
  async #waitingBytes(): Promise<number> {
    let sum = 0
    for (let number = 0; number < this.#census.count; number++) {
      if (!this.#marks.isLive(number) && !this.#isRemovable(number)) sum += this.#census.storedBytesOf(number)
      if (number % LOOKS_A_STEP === 0) await breathe()
    }
    return sum
  }

  /** Nobody names it, and nobody used it since the last one did who named it. */
  #isRemovable(number: number): boolean {
    if (this.#marks.isLive(number)) return false
    const touchedMs = this.#census.touchedMsOf(number)
    return touchedMs <= this.#startedMs - this.#graceMs || touchedMs <= this.#marks.releasedMsOf(number) + MARK_STEP_MS
  }

  async #removeBlobs(): Promise<void> {
    const { index, layout, journal, now } = this.#parts
    const { signal } = this.#options
    const marks = this.#marks
    const removal = { census: this.#census, news: this.#news, marks, isStill: this.#removable }
    const remove = async (numbers: readonly number[]) => {
      signal?.throwIfAborted()
      const gone = await this.#room.made(() => removeBlobs(index, journal, { ...removal, numbers, nowMs: now() }))
      this.#removedBlobs += gone.count
      await unlinkBlobFiles(index, layout, gone.files, this.#startedMs)
      await breathe()
    }
    const batch: number[] = []
    for (let number = 0; number < this.#census.count; number++) {
      if (this.#isRemovable(number)) batch.push(number)
      if (batch.length >= this.#room.batch) await remove(batch.splice(0))
      else if (number % LOOKS_A_STEP === 0) await breathe()
    }
    if (batch.length > 0 || this.#census.damaged.length > 0) await remove(batch)
    await removeOrphanFiles(index, layout, this.#startedMs, signal)
  }

  #compact(): Promise<void> {
    const { layout, index } = this.#parts
    const otherBytes = restBytes(layout)
    const { diskBytes, casBytes } = this.#targets
    return compactSegments(this.#parts, {
      isPressed: () => {
        const stored = folderBytes(layout.journal) + accountsOf(index).fileBytes
        return otherBytes + stored > diskBytes || stored > casBytes
      },
      signal: this.#options.signal,
    })
  }

  #planned(before: number): CollectReport {
    let blobs = 0
    for (let number = 0; number < this.#census.count; number++) {
      if (!this.#isRemovable(number)) continue
      blobs++
      this.#plannedBytes += this.#census.storedBytesOf(number)
    }
    this.#removedBlobs = blobs
    const freed = Math.min(before, Math.round(this.#plannedBytes))
    return this.#report(freed, before - freed)
  }

  #report(freedBytes: number, diskBytes: number): CollectReport {
    const { actions } = accountsOf(this.#parts.index)
    return {
      removedActions: this.#evicted,
      removedBlobs: this.#removedBlobs,
      freedBytes,
      keptActions: this.#isDry ? actions - this.#evicted : actions,
      pinnedActions: this.#pinned,
      diskBytes,
    }
  }
}
