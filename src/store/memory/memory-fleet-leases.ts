import type { FleetHolder, FleetHoldOptions, FleetLease, FleetLeases, FleetTurn } from '../fleet-leases.ts'
import { usualAfter } from '../usual-time.ts'

/** Between all who ask this process. */
export function memoryFleetLeases(now: () => number = Date.now): FleetLeases {
  const works = new Map<string, Work>()
  const usual = new UsualTimes()
  return {
    async hold({ instance }, action, asked) {
      asked.signal?.throwIfAborted()
      const key = `${action.hash}/${instance}`
      const thing = asked.thing === undefined ? undefined : nameOf(asked.thing, instance)
      const options = { ...asked, thing, usualMs: asked.usualMs ?? usual.of(thing) }
      const work = works.get(key)
      if (work !== undefined) return work.wait(options)
      const begun = new Work({ now, usual, onOver: () => works.delete(key) })
      works.set(key, begun)
      return begun.hold(options)
    },
    async usual({ instance }, things) {
      return things.map((thing) => usual.of(nameOf(thing, instance)))
    },
  }
}

function nameOf(thing: string, instance: string): string {
  return `${thing}/${instance}`
}

/** 2 MB of names. */
const MOST_KNOWN = 10_000

/** How long things take that were done here lately. */
class UsualTimes {
  readonly #known = new Map<string, number>()

  of(thing: string | undefined): number | undefined {
    return thing === undefined ? undefined : this.#known.get(thing)
  }

  took(thing: string | undefined, ms: number): void {
    if (thing === undefined) return
    const usualMs = usualAfter(this.#known.get(thing), ms)
    this.#known.delete(thing)
    this.#known.set(thing, usualMs)
    const [oldest] = this.#known.keys()
    if (this.#known.size > MOST_KNOWN && oldest !== undefined) this.#known.delete(oldest)
  }
}

interface WorkOptions {
  readonly now: () => number
  readonly usual: UsualTimes
  readonly onOver: () => void
}

interface Waiter {
  readonly options: FleetHoldOptions
  readonly resolve: (turn: FleetTurn) => void
}

/** One action's: a holder, and those who wait, in the order in which they came. */
class Work {
  readonly #options: WorkOptions
  readonly #waiters = new Set<Waiter>()
  #holder: { readonly label: string; readonly thing?: string | undefined; readonly sinceMs: number }
  #usualMs: number | undefined

  constructor(options: WorkOptions) {
    this.#options = options
    this.#holder = { label: '', sinceMs: options.now() }
  }

  hold({ label, thing, usualMs }: FleetHoldOptions): FleetTurn {
    this.#holder = { label, thing, sinceMs: this.#options.now() }
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
    return { label, forMs: Math.max(0, this.#options.now() - sinceMs), usualMs: this.#usualMs }
  }

  #end(isKept: boolean): void {
    const { now, usual, onOver } = this.#options
    const { thing, sinceMs } = this.#holder
    // What came to nothing may have ended early.
    if (isKept) usual.took(thing, now() - sinceMs)
    onOver()
    for (const { resolve } of this.#waiters) resolve({ kind: 'ended', isKept })
    this.#waiters.clear()
  }

  #passOn(): void {
    const [next, ...others] = this.#waiters
    if (next === undefined) {
      this.#options.onOver()
      return
    }
    this.#waiters.delete(next)
    next.resolve(this.hold(next.options))
    for (const { options } of others) options.onWait?.(this.#told())
  }
}
