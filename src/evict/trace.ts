export type TraceKey = string | number | bigint

/** Requests in their order, column by column: 4 bytes a request, 8 more each where sizes and costs are known. */
export interface Trace {
  readonly requests: number
  /** Distinct keys. */
  readonly objects: number
  /** The number of each request's key, in order of first appearance. */
  readonly keys: Uint32Array
  /** In bytes; undefined where nobody knows any. */
  readonly sizes: Float64Array | undefined
  /** What each request takes when it misses, in milliseconds; undefined where nobody knows any. */
  readonly costs: Float64Array | undefined
}

/** What a reader adds requests to. */
export class TraceBuilder {
  readonly #numbers = new Map<TraceKey, number>()
  #keys = new Uint32Array(1024)
  #sizes: Float64Array | undefined
  #costs: Float64Array | undefined
  #requests = 0

  add(key: TraceKey, sizeBytes?: number, costMs?: number): void {
    const at = this.#requests++
    if (at === this.#keys.length) this.#grow()
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.#numbers.size
      this.#numbers.set(key, number)
    }
    this.#keys[at] = number
    if (sizeBytes !== undefined) {
      this.#sizes ??= new Float64Array(this.#keys.length)
      this.#sizes[at] = sizeBytes
    }
    if (costMs !== undefined) {
      this.#costs ??= new Float64Array(this.#keys.length)
      this.#costs[at] = costMs
    }
  }

  trace(): Trace {
    return {
      requests: this.#requests,
      objects: this.#numbers.size,
      keys: this.#keys.subarray(0, this.#requests),
      sizes: this.#sizes?.subarray(0, this.#requests),
      costs: this.#costs?.subarray(0, this.#requests),
    }
  }

  #grow(): void {
    const length = 2 * this.#keys.length
    const longer = (column: Float64Array) => {
      const grown = new Float64Array(length)
      grown.set(column)
      return grown
    }
    const keys = new Uint32Array(length)
    keys.set(this.#keys)
    this.#keys = keys
    this.#sizes &&= longer(this.#sizes)
    this.#costs &&= longer(this.#costs)
  }
}

/** For each request, the number of the next one for the same key; Infinity where there is none. */
export function nextUses({ keys, requests, objects }: Trace): Float64Array {
  const next = new Float64Array(requests)
  const seen = new Float64Array(objects).fill(Number.POSITIVE_INFINITY)
  for (let at = requests - 1; at >= 0; at--) {
    const key = keys[at] as number
    next[at] = seen[key] as number
    seen[key] = at
  }
  return next
}
