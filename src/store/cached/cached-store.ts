import { sieve } from '../../evict/sieve.ts'
import type { ActionStore, BlobStore, Changes, Ingest } from '../contracts.ts'
import { CachedActions } from './cached-actions.ts'
import { CachedBlobs } from './cached-blobs.ts'
import { Freshness } from './freshness.ts'
import { type Hot, HotEntries } from './hot-entries.ts'
import { defaultMemoryBytes, nextLimitBytes } from './memory-budget.ts'
import { type MemoryState, memoryState } from './memory-pressure.ts'

export interface CachedOptions {
  /** What may be remembered; an eighth of the memory that the process may have, and at most 256 MiB, unless said. */
  readonly memoryBytes?: number
  readonly memory?: () => MemoryState
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

/** Dispose of it to give the memory back; what is below stays open. */
export interface CachedStore extends Disposable {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
  /** Bytes that are remembered, by estimate, and that may be now. */
  usage(): { readonly heldBytes: number; readonly limitBytes: number; readonly entries: number }
  /** Looks at the memory of the machine, and gives back or takes again. Happens by itself once in a second. */
  adjust(): void
}

export interface Cacheable {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
  readonly changes: Changes
}

const ADJUST_EVERY_MS = 1_000

/**
 * The memory tier, for processes that live longer than a command: what is hot is answered without asking `inner`. What
 * this process puts or removes through it is seen at once, what others do within a tenth of a second. Results are shared by
 * all who ask: they must be left as they are.
 */
export function cached(inner: Cacheable, options: CachedOptions = {}): CachedStore {
  const { memory = memoryState, now = () => performance.now() } = options
  const budgetBytes = options.memoryBytes ?? defaultMemoryBytes(memory())
  const entries = new HotEntries<Hot>(sieve<string>(), budgetBytes)
  const freshness = new Freshness(inner.changes, now)
  const adjust = () => {
    const { limitBytes, sizeBytes: heldBytes } = entries
    entries.limitBytes = nextLimitBytes(memory(), { budgetBytes, limitBytes, heldBytes })
  }
  const timer = setInterval(adjust, ADJUST_EVERY_MS).unref()
  return {
    blobs: new CachedBlobs(inner.blobs, entries, freshness),
    actions: new CachedActions(inner.actions, entries, freshness),
    usage: () => ({ heldBytes: entries.sizeBytes, limitBytes: entries.limitBytes, entries: entries.count }),
    adjust,
    [Symbol.dispose]() {
      clearInterval(timer)
      entries.limitBytes = 0
    },
  }
}
