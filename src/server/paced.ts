import { BATCH_BLOB_BYTES, type OpenBytes } from '../store/contracts.ts'
import type { Room } from './room.ts'

export interface Pace {
  readonly room: Room
  /** Of one part that is given out. */
  readonly mostBytes: number
  /** How long a client may take for one part before what lies behind it is let go of. */
  readonly stalledMs?: number
}

/** Content on its way to a client. */
export interface PacedSource {
  /** Asked for when there is room; undefined where it is gone. What it gives is closed. */
  readonly open: (offset: number) => Promise<OpenBytes | undefined>
  /** Whether it can be opened again, further on. */
  readonly isRepeatable: boolean
  /** The offset to begin at, and the one to end at; infinite where that is not known. */
  readonly offset: number
  readonly end: number
  /** Of what is read, as content. */
  readonly contentBytes: number
}

/** What the store gives at once is no larger. */
const PIECE_BYTES = BATCH_BLOB_BYTES
const STALLED_MS = 1_000

/**
 * Content for a client that may be slow, in small parts of what the store gives: that is read only when there is room for it. Of
 * a client that stands still it is let go of, and read again when the client goes on. Ends early where the content does.
 */
export async function* paced(source: PacedSource, pace: Pace): AsyncGenerator<Uint8Array> {
  const { room, mostBytes, stalledMs = STALLED_MS } = pace
  await using reader = new Reader(source)
  if (source.contentBytes <= mostBytes) {
    for (let at = source.offset; ; ) {
      const piece = await reader.pieceAt(at)
      if (piece === undefined) return
      at += piece.length
      yield piece
    }
  }
  for (let at = source.offset; at < source.end; ) {
    using place = await room.take(Math.min(PIECE_BYTES, source.contentBytes))
    let piece = await reader.pieceAt(at)
    if (piece === undefined) return
    const start = at
    const pieceBytes = piece.length
    while (piece !== undefined && at < start + pieceBytes) {
      const isCopied = source.isRepeatable && room.isCrowded
      // No view of the piece may be left in a variable, or it would stay in memory with that.
      const part = partOf(piece, at - start, isCopied ? mostBytes / 2 : mostBytes, isCopied)
      at += part.length
      const stall = () => {
        place.stand(isCopied ? part.length : pieceBytes)
        if (!source.isRepeatable) return
        piece = undefined
        reader.close()
      }
      const timer = setTimeout(stall, stalledMs).unref()
      try {
        yield part
      } finally {
        clearTimeout(timer)
      }
    }
  }
}

function partOf(piece: Uint8Array, at: number, mostBytes: number, isCopied: boolean): Uint8Array {
  const view = piece.subarray(at, at + mostBytes)
  return isCopied ? new Uint8Array(view) : view
}

class Reader implements AsyncDisposable {
  readonly #source: PacedSource
  #bytes: OpenBytes | undefined
  #iterator: AsyncIterator<Uint8Array> | undefined
  #closing: Promise<void> = Promise.resolve()

  constructor(source: PacedSource) {
    this.#source = source
  }

  /** What follows there, as the store gives it. */
  async pieceAt(offset: number): Promise<Uint8Array | undefined> {
    if (this.#iterator === undefined) {
      this.#bytes = await this.#source.open(offset)
      this.#iterator = this.#bytes?.[Symbol.asyncIterator]()
    }
    const next = await this.#iterator?.next()
    return next?.done === false ? next.value : undefined
  }

  /** Until it is asked again. */
  close(): void {
    const bytes = this.#bytes
    this.#bytes = this.#iterator = undefined
    if (bytes !== undefined)
      this.#closing = Promise.all([this.#closing, bytes[Symbol.asyncDispose]()]).then(() => undefined)
    this.#closing.catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    await this.#closing
  }
}
