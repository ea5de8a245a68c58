import type { Lease, Leases } from '../contracts.ts'

/** Leases within the process. */
export function memoryLeases(): Leases {
  return new MemoryLeases()
}

interface Held {
  note: string
  readonly waiting: (() => void)[]
}

class MemoryLeases implements Leases {
  readonly #held = new Map<string, Held>()

  async tryHold(name: string): Promise<Lease | undefined> {
    if (this.#held.has(name)) return undefined
    return this.#take(name, '')
  }

  async hold(
    name: string,
    options: { note?: string; onWait?: (holder: string) => void; signal?: AbortSignal } = {},
  ): Promise<Lease> {
    const { note = '', onWait, signal } = options
    signal?.throwIfAborted()
    const held = this.#held.get(name)
    if (held === undefined) return this.#take(name, note)
    onWait?.(held.note)
    await turnOf(held, signal)
    held.note = note
    return this.#leaseOf(name, held)
  }

  heldNames(prefix: string): string[] {
    return [...this.#held.keys()].filter((name) => name.startsWith(prefix))
  }

  #take(name: string, note: string): Lease {
    const held = { note, waiting: [] }
    this.#held.set(name, held)
    return this.#leaseOf(name, held)
  }

  #leaseOf(name: string, held: Held): Lease {
    let isHeld = true
    return {
      name,
      [Symbol.asyncDispose]: async () => {
        if (!isHeld) return
        isHeld = false
        // Straight to the next one, or a newcomer could overtake.
        const next = held.waiting.shift()
        if (next === undefined) this.#held.delete(name)
        else next()
      },
    }
  }
}

function turnOf(held: Held, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const giveUp = () => {
    const place = held.waiting.indexOf(wake)
    if (place < 0) return
    held.waiting.splice(place, 1)
    reject(signal?.reason)
  }
  const wake = () => {
    signal?.removeEventListener('abort', giveUp)
    resolve()
  }
  held.waiting.push(wake)
  signal?.addEventListener('abort', giveUp, { once: true })
  return promise
}
