import { randomInt } from 'node:crypto'

/** In CI the cases are always the same: a change is judged by what it changes. By hand each run has others. */
const ofThisRun = process.env.CI === 'true' ? 1_874_570_191 : randomInt(2 ** 31)

/** Said when a run begins; the same seed makes the same cases. */
export const seed: number = Number(process.env.RECUE_FUZZ_SEED ?? ofThisRun)

/** How many times the usual number of cases: `RECUE_FUZZ_CASES=10`. */
export const scale: number = Number(process.env.RECUE_FUZZ_CASES ?? 1)

/** Numbers by chance that a seed makes again (mulberry32). */
export class Random {
  #state: number

  constructor(from: number) {
    this.#state = from | 0
  }

  /** Of one case alone, whatever others run beside it. */
  static ofCase(kind: string, index: number): Random {
    let state = seed ^ Math.imul(index + 1, 0x9e3779b1)
    for (const letter of kind) state = Math.imul(state ^ letter.charCodeAt(0), 0x01000193)
    return new Random(state)
  }

  /** From 0 to 2³² - 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  below(end: number): number {
    return Math.floor((this.next() / 2 ** 32) * end)
  }

  chance(part: number): boolean {
    return this.below(1_000_000) < part * 1_000_000
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  bytes(most: number): Buffer {
    return this.exactly(this.below(most + 1))
  }

  exactly(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) bytes[i] = this.next() & 255
    return bytes
  }

  /** Of bytes that may stand in a header, those beyond ASCII included. */
  text(most: number): string {
    const bytes = this.bytes(most)
    for (const [i, byte] of bytes.entries()) if ((byte & 0x7f) <= 0x20 || byte === 0x7f) bytes[i] = 0x5f
    return bytes.toString('latin1')
  }

  hex(digits: number): string {
    return this.exactly(Math.ceil(digits / 2))
      .toString('hex')
      .slice(0, digits)
  }

  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make)
  }
}
