import { setImmediate as breathe } from 'node:timers/promises'
import { lru } from '../../../evict/lru.ts'
import type { EvictionPolicy } from '../../../evict/policy.ts'
import type { CollectOptions, CollectReport, Leases } from '../../contracts.ts'
import type { Compression } from '../compression.ts'
import { type IndexDb, sqliteCode } from '../index-db.ts'
import type { Journal } from '../journal.ts'
import type { Layout } from '../layout.ts'
import { MARK_STEP_MS } from '../marks.ts'
import { type Census, takeCensus } from './collector-census.ts'
import { removeOrphanFiles, unlinkBlobFiles } from './collector-files.ts'
import { Marks, type PeekBlob } from './collector-marks.ts'
import { type FoundAction, listActions, NewActions, removeActions, removeBlobs } from './collector-rows.ts'
import { sweepLocks, sweepStaging, sweepTrash } from './collector-sweep.ts'
import { compactSegments } from './compaction.ts'
import { highWaterBytes, lowWaterBytes, type Quota } from './quota.ts'
import { folderBytes } from './quota-usage.ts'

/** What a collection works on. */
export interface Collected {
  readonly layout: Layout
  readonly index: IndexDb
  readonly journal: Journal
  readonly leases: Leases
  readonly quota: Quota
  readonly peek: PeekBlob
  readonly compression: Compression
  readonly now: () => number
  /** Writes down the access marks that this process still gathers. */
  readonly flushMarks: () => Promise<void>
}

/** A blob that no action result names is left for so long after its last use: a save that is under way may be about to name it. */
export const GRACE_MS = 3 * MARK_STEP_MS
/** The same, while the folder is larger than its quota. */
const PRESSED_GRACE_MS = 300_000
const BATCH = 200

/**
 * One collection, for the holder of the collector's lease: what outlived its time goes, then the least recently used
 * action results until the rest fits, then the blobs nobody names, then the room they leave in the journal. In small
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
  readonly #removable: (number: number) => boolean
  #census!: Census
  #marks!: Marks
  #news!: NewActions
  #actions = new Map<string, FoundAction>()
  #policy: EvictionPolicy<string> = lru()
  #actionBytes = 0
  #graceMs = GRACE_MS
  /** By blob number: when the last action result was used that named it and was evicted by this collection. */
  #releasedMs!: Float64Array
  #evicted = 0
  #removedBlobs = 0
  #plannedBytes = 0

  constructor(parts: Collected, options: CollectOptions) {
    this.#parts = parts
    this.#options = options
    this.#startedMs = parts.now()
    this.#removable = (number) => this.#isRemovable(number)
  }

  async run(): Promise<CollectReport> {
    const { layout, quota, index } = this.#parts
    await this.#parts.flushMarks()
    truncateLog(index)
    const before = folderBytes(layout.dir)
    if (this.#options.dryRun !== true) await this.#sweep()
    await this.#mark()
    await this.#expire()
    await this.#evict(this.#options.targetBytes ?? lowWaterBytes(quota.maxCacheBytes))
    if (this.#options.dryRun === true) return this.#planned(before)
    await this.#removeBlobs()
    await this.#compact()
    truncateLog(index)
    const diskBytes = folderBytes(layout.dir)
    return this.#report(Math.max(0, before - diskBytes), diskBytes)
  }

  async #sweep(): Promise<void> {
    const { index, layout, leases, quota, now } = this.#parts
    sweepTrash(layout.trash, quota.maxTrashBytes, now())
    sweepTrash(layout.damaged, quota.maxTrashBytes, now())
    await sweepStaging(index, layout, leases, now())
    await sweepLocks(layout, leases)
  }

  async #mark(): Promise<void> {
    const { index, layout, peek } = this.#parts
    const { signal } = this.#options
    // First, so that no put can slip in between it and the list.
    this.#news = new NewActions(index, layout)
    this.#census = await takeCensus(index, signal)
    this.#marks = new Marks(this.#census, peek)
    this.#releasedMs = new Float64Array(this.#census.count).fill(Number.NEGATIVE_INFINITY)
    for await (const found of listActions(index, signal)) {
      const { result, ...action } = found
      await this.#marks.add({ action: found.action, result })
      this.#actions.set(found.name, action)
      this.#actionBytes += found.place.recordBytes
    }
    const byUse = [...this.#actions.values()].sort((a, b) => a.touchedMs - b.touchedMs || a.createdMs - b.createdMs)
    for (const { name, contentBytes, place, durationMs } of byUse)
      this.#policy.insert({ key: name, sizeBytes: contentBytes + place.recordBytes, costMs: durationMs })
  }

  async #expire(): Promise<void> {
    const limitMs = this.#startedMs - this.#parts.quota.ttlMs
    const expired = [...this.#actions.values()].filter(({ createdMs }) => createdMs < limitMs)
    for (let at = 0; at < expired.length; at += BATCH) await this.#evictAll(expired.slice(at, at + BATCH))
  }

  async #evict(targetBytes: number): Promise<void> {
    const { layout, quota } = this.#parts
    const otherBytes = folderBytes(layout.dir) - folderBytes(layout.journal) - folderBytes(layout.blobs)
    const casTarget = isOver(this.#marks.liveBytes, quota.maxCasBytes) ? lowWaterBytes(quota.maxCasBytes) : Infinity
    let waitingBytes = this.#waitingBytes()
    const excessBytes = () => {
      const blobBytes = this.#marks.liveBytes + waitingBytes
      return Math.max(blobBytes - casTarget, otherBytes + this.#actionBytes + blobBytes - targetBytes)
    }
    if (excessBytes() > 0) {
      this.#graceMs = PRESSED_GRACE_MS
      waitingBytes = this.#waitingBytes()
    }
    for (let excess = excessBytes(); excess > 0; excess = excessBytes()) {
      const victims = this.#victims(excess)
      if (victims.length === 0) return
      await this.#evictAll(victims)
    }
  }

  /** A few at a time, and never more than have to go: what one frees is at most the content that it names. */
  #victims(excessBytes: number): FoundAction[] {
    const victims: FoundAction[] = []
    for (let rest = excessBytes; rest > 0 && victims.length < BATCH; ) {
      const victim = this.#policy.victim()
      if (victim === undefined) break
      this.#policy.remove(victim.key)
      victims.push(this.#actions.get(victim.key) as FoundAction)
      rest -= victim.sizeBytes
    }
    return victims
  }

  async #evictAll(victims: readonly FoundAction[]): Promise<void> {
    const { index, journal, now } = this.#parts
    this.#options.signal?.throwIfAborted()
    const isDry = this.#options.dryRun === true
    const gone = await removeActions(index, journal, victims, { nowMs: now(), isDry })
    for (const { found, result } of gone) {
      this.#policy.remove(found.name)
      this.#actions.delete(found.name)
      this.#actionBytes -= found.place.recordBytes
      this.#plannedBytes += found.place.recordBytes
      await this.#marks.drop({ action: found.action, result }, (number) => {
        this.#releasedMs[number] = Math.max(this.#releasedMs[number] as number, found.touchedMs)
      })
    }
    this.#evicted += gone.length
  }

  /** What blobs take that nobody names and that have to stay for now. */
  #waitingBytes(): number {
    let sum = 0
    for (let number = 0; number < this.#census.count; number++)
      if (!this.#marks.isLive(number) && !this.#isRemovable(number)) sum += this.#census.storedBytesOf(number)
    return sum
  }

  /** Nobody names it, and nobody used it since the last one did who named it. */
  #isRemovable(number: number): boolean {
    if (this.#marks.isLive(number)) return false
    const touchedMs = this.#census.touchedMsOf(number)
    const releasedMs = this.#releasedMs[number] as number
    return touchedMs <= this.#startedMs - this.#graceMs || touchedMs <= releasedMs + MARK_STEP_MS
  }

  async #removeBlobs(): Promise<void> {
    const { index, layout, journal, now } = this.#parts
    const { signal } = this.#options
    let batch: number[] = []
    const remove = async () => {
      signal?.throwIfAborted()
      const gone = await removeBlobs(index, journal, {
        census: this.#census,
        numbers: batch,
        isStill: this.#removable,
        news: this.#news,
        markNews: (live) => this.#marks.add(live),
        nowMs: now(),
      })
      batch = []
      this.#removedBlobs += gone.count
      await unlinkBlobFiles(index, layout, gone.files, this.#startedMs)
      await breathe()
    }
    for (let number = 0; number < this.#census.count; number++) {
      if (!this.#isRemovable(number)) continue
      batch.push(number)
      if (batch.length === BATCH) await remove()
    }
    if (batch.length > 0 || this.#census.damaged.length > 0) await remove()
    await removeOrphanFiles(index, layout, this.#startedMs, signal)
  }

  #compact(): Promise<void> {
    const { quota, layout } = this.#parts
    const target = this.#options.targetBytes ?? lowWaterBytes(quota.maxCacheBytes)
    return compactSegments(this.#parts, {
      isPressed: () => folderBytes(layout.dir) > target,
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
    return {
      removedActions: this.#evicted,
      removedBlobs: this.#removedBlobs,
      freedBytes,
      keptActions: this.#actions.size,
      diskBytes,
    }
  }
}

/** SQLite's write-ahead log is as long as the busiest moment made it; a reader who is in it keeps it so for now. */
function truncateLog(index: IndexDb): void {
  try {
    index.lookUp(() => index.sql('PRAGMA wal_checkpoint(TRUNCATE)').all(), [])
  } catch (error) {
    // On a full disk it may not find the room; it is SQLite's own to do it later.
    if (sqliteCode(error) === undefined) throw error
  }
}

function isOver(bytes: number, limitBytes: number): boolean {
  return bytes > highWaterBytes(limitBytes)
}
