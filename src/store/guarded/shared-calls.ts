import { abortable } from '../remote/waiting.ts'

interface Shared<T> {
  readonly promise: Promise<T>
  readonly control: AbortController
  wanted: number
}

/** Equal questions that are asked at the same time share one answer. It is given up when nobody waits for it any more. */
export class SharedCalls<T> {
  readonly #calls = new Map<string, Shared<T>>()

  async ask(key: string, ask: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    const shared = this.#calls.get(key) ?? this.#begin(key, ask)
    shared.wanted++
    try {
      return await abortable(shared.promise, signal)
    } finally {
      if (--shared.wanted === 0 && this.#forget(key, shared)) shared.control.abort()
    }
  }

  #begin(key: string, ask: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const control = new AbortController()
    const shared: Shared<T> = { promise: ask(control.signal), control, wanted: 0 }
    this.#calls.set(key, shared)
    const over = () => void this.#forget(key, shared)
    shared.promise.then(over, over)
    return shared
  }

  /** False: it was forgotten before, for it was over. */
  #forget(key: string, shared: Shared<T>): boolean {
    return this.#calls.get(key) === shared && this.#calls.delete(key)
  }
}
