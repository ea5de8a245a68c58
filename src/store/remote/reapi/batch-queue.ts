import { abortable } from '../waiting.ts'

/** What one call may hold. */
export interface BatchLimits {
  readonly mostBytes: number
  readonly mostItems: number
}

export interface BatchItem {
  /** Only items of one group go into one call. */
  readonly group: string
  /** How much of a call it takes. */
  readonly bytes: number
}

export interface BatchQueueOptions<T, A> {
  readonly limits: (group: string) => BatchLimits | Promise<BatchLimits>
  readonly send: SendBatch<T, A>
  /** While so many calls are under way, what is asked for gathers for the next. */
  readonly mostCalls: number
}

/** Answers a batch in its order; an answer that is an `Error` is the failure of that item alone. */
export type SendBatch<T, A> = (items: readonly T[], signal: AbortSignal) => Promise<readonly (A | Error)[]>

interface Waiting<T, A> {
  readonly item: T
  readonly resolve: (answer: A) => void
  readonly reject: (reason: unknown) => void
  isWanted: boolean
  /** Of the call it went into. */
  call?: { readonly control: AbortController; wanted: number }
}

/** Puts what is asked for at about the same time into as few calls as the limits allow. */
export class BatchQueue<T extends BatchItem, A> {
  readonly #options: BatchQueueOptions<T, A>
  #waiting: Waiting<T, A>[] = []
  #calls = 0
  #isDue = false

  constructor(options: BatchQueueOptions<T, A>) {
    this.#options = options
  }

  async ask(item: T, signal?: AbortSignal): Promise<A> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<A>()
    const waiting: Waiting<T, A> = { item, resolve, reject, isWanted: true }
    this.#waiting.push(waiting)
    this.#later()
    try {
      return await abortable(promise, signal)
    } finally {
      if (signal?.aborted) this.#giveUp(waiting)
    }
  }

  /** A call that nobody waits for any more is ended. */
  #giveUp(waiting: Waiting<T, A>): void {
    waiting.isWanted = false
    const { call } = waiting
    if (call !== undefined && --call.wanted === 0) call.control.abort()
  }

  #later(): void {
    if (this.#isDue || this.#calls >= this.#options.mostCalls) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      void this.#next()
    })
  }

  async #next(): Promise<void> {
    if (this.#calls >= this.#options.mostCalls || this.#waiting.length === 0) return
    this.#calls++
    try {
      await this.#sendOne()
    } finally {
      this.#calls--
      this.#later()
    }
  }

  async #sendOne(): Promise<void> {
    let batch: Waiting<T, A>[] = []
    try {
      batch = this.#cut(await this.#options.limits(this.#waiting[0]?.item.group ?? ''))
      if (batch.length === 0) return
      if (this.#waiting.length > 0) this.#later()
      const call = { control: new AbortController(), wanted: batch.length }
      for (const one of batch) one.call = call
      const answers = await this.#options.send(
        batch.map(({ item }) => item),
        call.control.signal,
      )
      batch.forEach(({ resolve, reject }, i) => {
        const answer = answers[i]
        if (answer instanceof Error) reject(answer)
        else resolve(answer as A)
      })
    } catch (error) {
      // Without limits nobody can be answered.
      for (const { reject } of batch.length > 0 ? batch : this.#waiting.splice(0)) reject(error)
    }
  }

  /** The first that wait, as many as fit. One alone always fits. */
  #cut({ mostBytes, mostItems }: BatchLimits): Waiting<T, A>[] {
    const batch: Waiting<T, A>[] = []
    const others: Waiting<T, A>[] = []
    let bytes = 0
    for (const one of this.#waiting) {
      if (!one.isWanted) continue
      const { group, bytes: more } = one.item
      const fits = bytes + more <= mostBytes && batch.length < mostItems && group === (batch[0]?.item.group ?? group)
      if (batch.length > 0 && !fits) others.push(one)
      else {
        batch.push(one)
        bytes += more
      }
    }
    this.#waiting = others
    return batch
  }
}
