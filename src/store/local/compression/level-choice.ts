import type { ContentClass } from './content-class.ts'

type Compressible = Exclude<ContentClass, 'dense'>

/**
 * Levels that are worth having and their speed beside level 1, in frames of 128 KiB: measured on sources, source maps and
 * machine code. Level 2 saves 1 % on text; 4, 5, 7 and 8 lie on the way between their neighbours; from 10 on the speed
 * halves at each step for 2 % at most.
 */
const LEVELS: Readonly<Record<Compressible, readonly (readonly [level: number, speed: number])[]>> = {
  text: [
    [9, 0.16],
    [6, 0.28],
    [3, 0.85],
  ],
  binary: [
    [9, 0.15],
    [6, 0.23],
    [3, 0.66],
  ],
}
const FASTEST = 1
/** Compressing must be ahead of the medium by so much before a higher level is taken: what is measured is rough, and others want the processors too. */
const AHEAD = 2
/** A write of less is all overhead. */
const LEAST_WRITE_BYTES = 128 << 10
/**
 * How much of what a sample says is believed. A write that had to wait for something else says little of the medium, so
 * faster ones count; frames that took longer tell that the processors are wanted, so slower ones count.
 */
const TRUST = 0.15
const TRUST_AGAINST = 0.6

/** Compressed bytes that make a sample of how fast that goes. */
const SAMPLE_BYTES = 1 << 20

/**
 * The level of `auto`: the highest that still compresses faster than the medium takes the result, so that it costs no
 * time. By what this process's own writes and frames took; level 1 until there were some, and wherever memory or a fast
 * disk takes it all at once.
 */
export class LevelChoice {
  readonly #now: () => number
  /** Stored bytes that the medium takes in a millisecond. */
  #writeSpeed = Number.POSITIVE_INFINITY
  /** Content bytes that all threads together compress at level 1 in a millisecond. */
  #speed = 0
  /** Stored bytes for each byte of content. */
  readonly #ratios: Record<Compressible, number> = { text: 0.25, binary: 0.5 }
  #running = 0
  #busySinceMs = 0
  #sampledMs = 0
  #sampledBytes = 0

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  level(kind: Compressible): number {
    const taken = this.#writeSpeed / this.#ratios[kind]
    return LEVELS[kind].find(([, relative]) => this.#speed * relative >= taken * AHEAD)?.[0] ?? FASTEST
  }

  /** So many bytes went to the medium, and took so long. */
  wrote(bytes: number, ms: number): void {
    if (bytes < LEAST_WRITE_BYTES || ms <= 0) return
    const speed = bytes / ms
    const trust = speed > this.#writeSpeed ? 1 : TRUST
    this.#writeSpeed = Number.isFinite(this.#writeSpeed) ? believed(this.#writeSpeed, speed, trust) : speed
  }

  /** Says that a frame is being made, until it is disposed of. */
  time(): Disposable & { done(kind: Compressible, level: number, content: number, stored: number): void } {
    if (this.#running++ === 0) this.#busySinceMs = this.#now()
    return {
      done: (kind, level, content, stored) => {
        this.#ratios[kind] = believed(this.#ratios[kind], stored / content, TRUST)
        this.#sampledBytes += content / speedOf(kind, level)
      },
      [Symbol.dispose]: () => {
        if (--this.#running === 0 || this.#sampledBytes >= SAMPLE_BYTES) this.#endSample()
      },
    }
  }

  /** Counts only the time in which something was compressed. */
  #endSample(): void {
    const now = this.#now()
    this.#sampledMs += now - this.#busySinceMs
    this.#busySinceMs = now
    if (this.#sampledBytes < SAMPLE_BYTES || this.#sampledMs <= 0) return
    // Several that are told of in one turn seem to have taken no time but the first: averaged as times, that is no harm.
    const pace = this.#sampledMs / this.#sampledBytes
    const before = this.#speed === 0 ? pace : 1 / this.#speed
    this.#speed = 1 / believed(before, pace, pace > before ? TRUST_AGAINST : TRUST)
    this.#sampledBytes = 0
    this.#sampledMs = 0
  }
}

function speedOf(kind: Compressible, level: number): number {
  return LEVELS[kind].find(([known]) => known === level)?.[1] ?? 1
}

function believed(before: number, sample: number, trust: number): number {
  return before + (sample - before) * trust
}
