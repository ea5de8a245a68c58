import type { FleetHolder, FleetHoldOptions, FleetLease, FleetLeases, FleetTurn } from '../fleet-leases.ts'

/** Between all who ask this process. */
export function memoryFleetLeases(now: () => number = Date.now): FleetLeases {
  const works = new Map<string, Work>()
  return {
    async hold(scope, action, options) {
      options.signal?.throwIfAborted()
      const key = `${action.hash}/${scope.instance}`
      const work = works.get(key)
      if (work !== undefined) return work.wait(options)
      const begun = new Work(now, () => works.delete(key))
      works.set(key, begun)
      return begun.hold(options)
    },
  }
}

interface Waiter {
  readonly options: FleetHoldOptions
  readonly resolve: (turn: FleetTurn) => void
}

/** One action's: a holder, and those who wait, in the order in which they came. */
class Work {
  readonly #now: () => number
  readonly #onOver: () => void
  readonly #waiters = new Set<Waiter>()
  #holder: { readonly label: string; readonly sinceMs: number } = { label: '', sinceMs: 0 }
  #usualMs: number | undefined

  constructor(now: () => number, onOver: () => void) {
    this.#now = now
    this.#onOver = onOver
  }

  hold({ label, usualMs }: FleetHoldOptions): FleetTurn {
    this.#holder = { label, sinceMs: this.#now() }
    this.#usualMs = usualMs ?? this.#usualMs
    let isOver = false
    const once = (over: () => void) => {
      if (!isOver) over()
      isOver = true
    }
    const lease: FleetLease = {
      end: async (isKept) => once(() => this.#end(isKept)),
      [Symbol.asyncDispose]: async () => once(() => this.#passOn()),
    }
    return { kind: 'held', lease }
  }

  wait(options: FleetHoldOptions): Promise<FleetTurn> {
    const { signal, usualMs } = options
    this.#usualMs ??= usualMs
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#waiters.delete(waiter)
        reject(signal?.reason)
      }
      const waiter: Waiter = {
        options,
        resolve: (turn) => {
          signal?.removeEventListener('abort', stop)
          resolve(turn)
        },
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', stop, { once: true })
      options.onWait?.(this.#told())
    })
  }

  #told(): FleetHolder {
    const { label, sinceMs } = this.#holder
    return { label, forMs: Math.max(0, this.#now() - sinceMs), usualMs: this.#usualMs }
  }

  #end(isKept: boolean): void {
    this.#onOver()
    for (const { resolve } of this.#waiters) resolve({ kind: 'ended', isKept })
    this.#waiters.clear()
  }

  #passOn(): void {
    const [next, ...others] = this.#waiters
    if (next === undefined) {
      this.#onOver()
      return
    }
    this.#waiters.delete(next)
    next.resolve(this.hold(next.options))
    for (const { options } of others) options.onWait?.(this.#told())
  }
}
