import { FrequencySketch } from './frequency-sketch.ts'
import { HillClimber } from './hill-climber.ts'
import { KeyedPolicy } from './keyed-policy.ts'
import type { Evictable, EvictionPolicy } from './policy.ts'
import { move, Queue, Queued } from './queue.ts'

/**
 * W-TinyLFU: newcomers stand in a window, least recently used first; who leaves it stays only if it was used more often
 * than the one that would leave for it, in a memory that knows more keys than the cache holds. The rest stands in two
 * lists, of those used once there and those used again. The window's share follows the hit ratio. Einziger et al.,
 * "TinyLFU: A Highly Efficient Cache Admission Policy", 2014, and "Adaptive Software Cache Management", Middleware 2018,
 * as Caffeine has it. About 130 bytes an entry.
 */
export function wTinyLfu<K extends string | number>(capacityBytes: number): EvictionPolicy<K> {
  return new WTinyLfu(capacityBytes)
}

const FIRST_WINDOW_SHARE = 0.01
const PROTECTED_SHARE = 0.8

class WTinyLfu<K extends string | number> extends KeyedPolicy<K, Queued<K>> {
  readonly #capacityBytes: number
  readonly #sketch = new FrequencySketch<K>()
  readonly #climber = new HillClimber()
  readonly #window = new Queue<K>()
  readonly #probation = new Queue<K>()
  readonly #protected = new Queue<K>()
  #windowBytes: number
  #protectedBytes: number
  #coming: Evictable<K> | undefined
  /** Who left the window last, and has not yet met one that it is worth less than. */
  #candidate: Queued<K> | undefined

  constructor(capacityBytes: number) {
    super()
    this.#capacityBytes = capacityBytes
    this.#windowBytes = Math.max(1, capacityBytes * FIRST_WINDOW_SHARE)
    this.#protectedBytes = PROTECTED_SHARE * (capacityBytes - this.#windowBytes)
  }

  override admit(entry: Evictable<K>): boolean {
    this.#request(entry.key, false)
    this.#coming = entry
    return true
  }

  override victim(): Queued<K> | undefined {
    this.#overflowWindow(this.#coming?.sizeBytes ?? 0)
    const oldest = this.#probation.oldest ?? this.#protected.oldest ?? this.#window.oldest
    const candidate = this.#candidate
    if (candidate === undefined || oldest === undefined || oldest === candidate) return oldest
    return this.#sketch.frequency(candidate.key) > this.#sketch.frequency(oldest.key) ? oldest : candidate
  }

  protected override placed(entry: Evictable<K>): Queued<K> {
    if (this.#coming?.key !== entry.key) this.#request(entry.key, false)
    this.#coming = undefined
    const placed = new Queued(entry)
    this.#window.push(placed)
    this.#overflowWindow(0)
    this.#candidate = undefined
    return placed
  }

  protected override used(entry: Queued<K>): void {
    this.#request(entry.key, true)
    if (entry === this.#candidate) this.#candidate = undefined
    move(entry, entry.queue === this.#window ? this.#window : this.#protected)
    this.#overflowProtected()
  }

  protected override removed(entry: Queued<K>): void {
    if (entry === this.#candidate) this.#candidate = undefined
    entry.queue?.take(entry)
  }

  #request(key: K, isHit: boolean): void {
    this.#sketch.add(key, this.count)
    const share = this.#climber.count(isHit, this.#sketch.sampleSize(this.count))
    if (share !== 0) this.#resizeWindow(share * this.#capacityBytes)
  }

  #resizeWindow(byBytes: number): void {
    const change = byBytes > 0 ? Math.min(byBytes, this.#protectedBytes) : -Math.min(-byBytes, this.#windowBytes - 1)
    this.#windowBytes += change
    this.#protectedBytes -= change
    this.#overflowProtected()
    if (change > 0) this.#fillWindow(change)
    else this.#overflowWindow(0)
    this.#candidate = undefined
  }

  #fillWindow(bytes: number): void {
    let rest = bytes
    for (;;) {
      const next = this.#probation.oldest ?? this.#protected.oldest
      if (next === undefined || next.sizeBytes > rest) return
      rest -= next.sizeBytes
      move(next, this.#window)
    }
  }

  #overflowWindow(comingBytes: number): void {
    while (this.#window.oldest !== undefined && this.#window.sizeBytes + comingBytes > this.#windowBytes) {
      this.#candidate = this.#window.oldest
      move(this.#candidate, this.#probation)
    }
  }

  #overflowProtected(): void {
    while (this.#protected.oldest !== undefined && this.#protected.sizeBytes > this.#protectedBytes)
      move(this.#protected.oldest, this.#probation)
  }
}
