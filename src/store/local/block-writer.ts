import type { FileHandle } from 'node:fs/promises'

/**
 * What is written so much at once, from a multiple of it on, Linux keeps in memory in one piece. In a virtual machine whose
 * memory is new, 1 GiB took 0.3 s of processor so, and 1.2 to 4 s by 1 MiB at once.
 */
export const BLOCK_BYTES = 2 << 20

interface Held {
  readonly bytes: Uint8Array
  free(): void
}

export interface BlockWriterOptions {
  readonly blockBytes: number
  /** Begins to time a write. */
  readonly timer: () => () => number
  readonly onWrote: (bytes: number, ms: number) => void
}

/** Writes a file from its beginning, in whole blocks: holds less than one of them until the end. */
export class BlockWriter {
  readonly #file: FileHandle
  readonly #options: BlockWriterOptions
  readonly #held: Held[] = []
  #heldBytes = 0

  constructor(file: FileHandle, options: BlockWriterOptions) {
    this.#file = file
    this.#options = options
  }

  /** Not before the last call is done. The bytes stay as they are until they are freed. */
  async write(bytes: Uint8Array, free: () => void): Promise<void> {
    this.#held.push({ bytes, free })
    this.#heldBytes += bytes.length
    await this.#writeHeld(this.#heldBytes - (this.#heldBytes % this.#options.blockBytes))
  }

  async end(): Promise<void> {
    await this.#writeHeld(this.#heldBytes)
  }

  async #writeHeld(bytes: number): Promise<void> {
    if (bytes === 0) return
    const { timer, onWrote } = this.#options
    const { pieces, whole } = this.#take(bytes)
    const tookMs = timer()
    await writeAll(this.#file, pieces)
    onWrote(bytes, tookMs())
    for (const { free } of whole) free()
  }

  /** The first bytes that are held, and of what nothing is left. */
  #take(bytes: number): { readonly pieces: Uint8Array[]; readonly whole: Held[] } {
    const pieces: Uint8Array[] = []
    const whole: Held[] = []
    for (let left = bytes; left > 0; ) {
      const first = this.#held.shift() as Held
      const piece = first.bytes.subarray(0, left)
      pieces.push(piece)
      left -= piece.length
      if (piece.length === first.bytes.length) whole.push(first)
      else this.#held.unshift({ ...first, bytes: first.bytes.subarray(piece.length) })
    }
    this.#heldBytes -= bytes
    return { pieces, whole }
  }
}

async function writeAll(file: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  for (let rest = pieces; rest.length > 0; ) rest = after(rest, (await file.writev(rest)).bytesWritten)
}

function after(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  const rest: Uint8Array[] = []
  for (const piece of pieces) {
    if (left < piece.length) rest.push(piece.subarray(left))
    left = Math.max(0, left - piece.length)
  }
  return rest
}
