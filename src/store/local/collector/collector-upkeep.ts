import type { CatalogParts } from './catalog.ts'

/** Keeps a folder within its quota while it is written to. Dispose of it before the parts. */
export interface Upkeep extends AsyncDisposable {
  /** An action result was put. Costs nothing now: the folder is measured a second later, or at dispose. */
  saved(): void
  /**
   * Something was not kept since the disk is full, whoever filled it: a part of what is here gives way, once in the life of
   * a process. As `saved`, a second later or at dispose.
   */
  full(): void
}

/** A process that goes on measures at most once a second. */
const MEASURE_AFTER_MS = 1_000
/** What a command that is done may be held up by, past the high mark; the next one goes on with the rest. */
const SETTLE_MS = 250
/**
 * The same when the folder is larger than its quota: a limit is a limit. Long enough to go through all entries, or it would
 * begin anew each time and free nothing; a fifth is freed then, so it comes once in as much writing, which took far longer.
 */
const SETTLE_OVER_MS = 10_000
const SETTLE_ENTRY_MS = 0.1

/**
 * Starts a collection when a writer passes the high mark: in the writing process, after its save, in small steps beside
 * what else it does. One process of all does it at a time. Never throws: a folder that is too large harms no build.
 */
export function upkeep(parts: CatalogParts): Upkeep {
  return new SavingUpkeep(parts)
}

class SavingUpkeep implements Upkeep {
  readonly #parts: CatalogParts
  #isDue = false
  #room: 'enough' | 'wanted' | 'made' = 'enough'
  #timer: NodeJS.Timeout | undefined
  #work: Promise<void> = Promise.resolve()

  constructor(parts: CatalogParts) {
    this.#parts = parts
  }

  saved(): void {
    this.#lookLater()
  }

  full(): void {
    if (this.#room !== 'enough') return
    this.#room = 'wanted'
    this.#lookLater()
  }

  #lookLater(): void {
    this.#isDue = true
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#work = this.#work.then(() => this.#look())
    }, MEASURE_AFTER_MS).unref()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    this.#work = this.#work.then(() => this.#look())
    await this.#work
  }

  async #look(): Promise<void> {
    if (!this.#isDue) return
    this.#isDue = false
    try {
      // A run that hits saves nothing and loads none of this.
      const [{ excessOf }, { accountsOf, diskBytesOf }, { keepReserve }, { lowWater }] = await Promise.all([
        import('./excess.ts'),
        import('./accounts.ts'),
        import('./reserve.ts'),
        import('./quota.ts'),
      ])
      const { layout, index } = this.#parts
      keepReserve(layout)
      const isRoomWanted = this.#room === 'wanted'
      if (isRoomWanted) this.#room = 'made'
      const excess = excessOf(this.#parts)
      if (excess === 'none' && !isRoomWanted) return
      const overMs = SETTLE_OVER_MS + accountsOf(index).actions * SETTLE_ENTRY_MS
      const isLong = excess === 'limit' || isRoomWanted
      await this.#collect(
        AbortSignal.timeout(isLong ? Math.round(overMs) : SETTLE_MS),
        isRoomWanted ? lowWater(diskBytesOf(index, layout)) : undefined,
      )
    } catch {
      // Out of time, a busy index, a full disk: the next save comes back to it.
    }
  }

  async #collect(signal: AbortSignal, targetBytes: number | undefined): Promise<void> {
    const { collectUnlessOthersDo } = await import('./catalog.ts')
    await collectUnlessOthersDo(this.#parts, targetBytes === undefined ? { signal } : { signal, targetBytes })
  }
}
