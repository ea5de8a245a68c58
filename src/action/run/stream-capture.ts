import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Bytes } from '../../store/contracts.ts'
import { type StreamName, StreamOrder } from './stream-order.ts'

/** Both streams together are held in memory up to this size, then each goes to a file. */
const MEMORY_BYTES = 1 << 20
const READ_BYTES = 256 << 10
/**
 * The most that is kept of a run's output: more than any build log that somebody reads, and little enough for a disk. A
 * command that prints without end (`yes`, a server) would fill it.
 */
export const MOST_STREAM_BYTES: number = 256 << 20

export interface CapturedStream {
  readonly sizeBytes: number
  /** In memory as it is; what was spilled is read from its file, piece by piece. May be asked for more than once. */
  bytes(): Bytes
}

export interface CaptureLimits {
  /** Held in memory, both streams together. */
  readonly memoryBytes?: number
  /** Captured at all, both streams together. */
  readonly mostBytes?: number
}

/**
 * What a command wrote, kept until it is known whether the result will be: bounded in memory whatever the size. A spill
 * file has no name as soon as it is open, so that nothing is left behind by a killed process.
 */
export class StreamCapture implements Disposable {
  readonly #folder: string
  readonly #memoryBytes: number
  readonly #mostBytes: number
  readonly #order = new StreamOrder()
  readonly #stdout = new Spill()
  readonly #stderr = new Spill()
  #failure: unknown
  #isTooLong = false

  /** `folder` is made when it is needed. */
  constructor(folder: string, { memoryBytes = MEMORY_BYTES, mostBytes = MOST_STREAM_BYTES }: CaptureLimits = {}) {
    this.#folder = folder
    this.#memoryBytes = memoryBytes
    this.#mostBytes = mostBytes
  }

  /**
   * Never throws: a full disk must not end the command. What went wrong is in `failure` and `isTooLong`; what was captured
   * is let go at once then, and nothing more is.
   */
  add(stream: StreamName, chunk: Uint8Array): void {
    if (this.#failure !== undefined || this.#isTooLong) return
    if (this.#stdout.sizeBytes + this.#stderr.sizeBytes + chunk.byteLength > this.#mostBytes) {
      this.#isTooLong = true
      this[Symbol.dispose]()
      return
    }
    try {
      this.#stream(stream).add(chunk)
      this.#order.add(stream, chunk.byteLength)
      if (this.#stdout.heldBytes + this.#stderr.heldBytes > this.#memoryBytes) {
        this.#stdout.toFile(this.#folder)
        this.#stderr.toFile(this.#folder)
      }
    } catch (error) {
      this.#failure = error
      this[Symbol.dispose]()
    }
  }

  /** The output was longer than what is kept. */
  get isTooLong(): boolean {
    return this.#isTooLong
  }

  /** Why else the capture is not whole; undefined when it is. */
  get failure(): unknown {
    return this.#failure
  }

  get stdout(): CapturedStream {
    return this.#stdout
  }

  get stderr(): CapturedStream {
    return this.#stderr
  }

  /** As {@link StreamOrder} tells it. */
  order(): number[] {
    return this.#order.lengths()
  }

  [Symbol.dispose](): void {
    this.#stdout.close()
    this.#stderr.close()
  }

  #stream(name: StreamName): Spill {
    return name === 'stdout' ? this.#stdout : this.#stderr
  }
}

class Spill implements CapturedStream {
  #held: Uint8Array[] = []
  #heldBytes = 0
  #file: number | undefined
  #filedBytes = 0

  add(chunk: Uint8Array): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.byteLength
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  get sizeBytes(): number {
    return this.#filedBytes + this.#heldBytes
  }

  toFile(folder: string): void {
    if (this.#heldBytes === 0) return
    this.#file ??= openNameless(folder)
    const bytes = Buffer.concat(this.#held)
    for (let at = 0; at < bytes.length; ) {
      at += writeSync(this.#file, bytes, at, bytes.length - at, this.#filedBytes + at)
    }
    this.#filedBytes += bytes.length
    this.#held = []
    this.#heldBytes = 0
  }

  bytes(): Bytes {
    return this.#file === undefined ? Buffer.concat(this.#held) : this.#pieces(this.#file)
  }

  async *#pieces(file: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < this.#filedBytes; ) {
      const piece = Buffer.allocUnsafe(Math.min(READ_BYTES, this.#filedBytes - at))
      const read = readSync(file, piece, 0, piece.length, at)
      if (read === 0) throw new Error('the spill file of an output stream became shorter')
      at += read
      yield piece.subarray(0, read)
    }
    yield* this.#held
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    this.#held = []
  }
}

let spills = 0

function openNameless(folder: string): number {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `stream-${process.pid}-${Date.now().toString(36)}-${spills++}`)
  const file = openSync(path, 'wx+', 0o600)
  unlinkSync(path)
  return file
}
