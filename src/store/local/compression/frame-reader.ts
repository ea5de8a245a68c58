import { CacheError } from '../../../errors.ts'

/** A frame's first bytes hold its content size where its maker knew it. */
export interface Frame {
  readonly contentBytes: number | undefined
  /** The whole frame; undefined when it was not read, for its content is larger than is wanted, or may be. */
  readonly bytes: Uint8Array | undefined
}

/** RFC 8878, 3.1.1. */
const MAGIC = 0xfd2f_b528
const SKIPPABLE_MAGIC = 0x184d_2a50
const SKIPPABLE_HEADER_BYTES = 8
const MOST_HEADER_BYTES = 18
const DICTIONARY_BYTES = [0, 1, 2, 4] as const
const STORED = 0
const RLE = 1
const RESERVED = 3

const NOTHING = Buffer.alloc(0)
const FIRST_ROOM_BYTES = 64 << 10

/** What zstd adds to content that it cannot compress is less. */
function mostFrameBytes(contentBytes: number): number {
  return contentBytes + (contentBytes >> 4) + 1024
}

/**
 * Takes zstd data apart into its frames (RFC 8878, 3.1), by the headers of frames and blocks alone, so that what is cut
 * off or follows after the end is seen: decoders of the two runtimes differ in what they do then. Skippable frames are
 * passed over.
 */
export class FrameReader {
  readonly #source: AsyncIterator<Uint8Array>
  /** Read and not given out; lies in the room, all behind what was given out. */
  #ahead: Buffer = NOTHING
  #room: Buffer = NOTHING
  #isEnded = false

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /**
   * The next frame, whole when it says that its content is at most so large; one that says nothing is read whole if
   * `unsized`. Undefined at the end; throws `store.corrupt` for what is no zstd frame, or longer than such content makes it.
   */
  async next(mostContentBytes: number, unsized: boolean): Promise<Frame | undefined> {
    await this.#fill(MOST_HEADER_BYTES)
    while (isSkippable(this.#ahead)) {
      await this.#skip(SKIPPABLE_HEADER_BYTES + this.#ahead.readUInt32LE(4))
      await this.#fill(MOST_HEADER_BYTES)
    }
    if (this.#ahead.length === 0) return undefined
    const header = headerOf(this.#ahead)
    if (header === undefined) throw noFrame('no zstd frame')
    const { contentBytes } = header
    const isWanted = contentBytes === undefined ? unsized : contentBytes <= mostContentBytes
    if (!isWanted) return { contentBytes, bytes: undefined }
    return { contentBytes, bytes: await this.#whole(header, mostFrameBytes(contentBytes ?? mostContentBytes)) }
  }

  /** All that was not given out yet. */
  async *rest(): AsyncGenerator<Uint8Array> {
    const ahead = this.#ahead
    this.#ahead = NOTHING
    if (ahead.length > 0) yield ahead
    for (;;) {
      const { done, value } = await this.#source.next()
      if (done === true) return
      yield value
    }
  }

  /** To be called when it is not read to the end. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #whole(header: Header, mostBytes: number): Promise<Uint8Array> {
    let end = header.bytes
    for (let isLast = false; !isLast; ) {
      await this.#need(end + 3, mostBytes)
      const block = this.#ahead.readUIntLE(end, 3)
      const type = (block >> 1) & 3
      if (type === RESERVED) throw noFrame('no zstd block')
      isLast = (block & 1) === 1
      end += 3 + (type === RLE ? 1 : block >> 3)
    }
    if (header.hasChecksum) end += 4
    await this.#need(end, mostBytes)
    const frame = this.#ahead.subarray(0, end)
    // The room behind it holds what comes next, which is not written over a frame that is out.
    this.#ahead = this.#ahead.subarray(end)
    return frame
  }

  /** Without holding them. */
  async #skip(bytes: number): Promise<void> {
    let left = bytes
    for (; left > this.#ahead.length; await this.#fill(1)) {
      if (this.#ahead.length === 0) throw noFrame('cut off')
      left -= this.#ahead.length
      this.#ahead = NOTHING
    }
    this.#ahead = this.#ahead.subarray(left)
  }

  async #need(bytes: number, most: number): Promise<void> {
    if (bytes > most) throw noFrame('longer than zstd makes it')
    await this.#fill(bytes)
    if (this.#ahead.length < bytes) throw noFrame('cut off')
  }

  async #fill(bytes: number): Promise<void> {
    while (this.#ahead.length < bytes && !this.#isEnded) {
      const { done, value } = await this.#source.next()
      if (done === true) this.#isEnded = true
      else this.#append(value)
    }
  }

  /** Copied: the source may use its buffer again. */
  #append(piece: Uint8Array): void {
    const { length } = this.#ahead
    let at = this.#ahead.byteOffset - this.#room.byteOffset + length
    if (length === 0 || at + piece.length > this.#room.length) {
      this.#room = Buffer.allocUnsafeSlow(Math.max(FIRST_ROOM_BYTES, 2 * length, length + piece.length))
      this.#room.set(this.#ahead)
      at = length
    }
    this.#room.set(piece, at)
    this.#ahead = this.#room.subarray(at - length, at + piece.length)
  }
}

/** Whether the first block of a frame that begins so holds its content as it is; undefined for what is no whole beginning. */
export function beginsStored(start: Uint8Array): boolean | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, MOST_HEADER_BYTES + 3))
  const header = headerOf(bytes)
  if (header === undefined || bytes.length <= header.bytes) return undefined
  return (((bytes[header.bytes] as number) >> 1) & 3) === STORED
}

interface Header {
  readonly bytes: number
  readonly contentBytes: number | undefined
  readonly hasChecksum: boolean
}

/** The last four bits of its magic number may be any. */
function isSkippable(bytes: Buffer): boolean {
  return bytes.length >= SKIPPABLE_HEADER_BYTES && (bytes.readUInt32LE(0) & ~0xf) === SKIPPABLE_MAGIC
}

function headerOf(bytes: Buffer): Header | undefined {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== MAGIC) return undefined
  const descriptor = bytes[4] as number
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeAt = 5 + (isSingleSegment ? 0 : 1) + (DICTIONARY_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3] as number)
  const sizeBytes = contentSizeBytes(descriptor >> 6, isSingleSegment)
  if (bytes.length < sizeAt + sizeBytes) return undefined
  return {
    bytes: sizeAt + sizeBytes,
    contentBytes: sizeBytes === 0 ? undefined : contentSize(bytes, sizeAt, sizeBytes),
    hasChecksum: (descriptor & 4) !== 0,
  }
}

function contentSizeBytes(flag: number, isSingleSegment: boolean): 0 | 1 | 2 | 4 | 8 {
  if (flag === 0) return isSingleSegment ? 1 : 0
  return flag === 1 ? 2 : flag === 2 ? 4 : 8
}

function contentSize(bytes: Buffer, at: number, length: 1 | 2 | 4 | 8): number {
  if (length === 8) return Number(bytes.readBigUInt64LE(at))
  return bytes.readUIntLE(at, length) + (length === 2 ? 256 : 0)
}

/** The bytes do not say what a frame of them should. */
export function noFrame(what: string, cause?: unknown): CacheError {
  return new CacheError('store.corrupt', `The bytes are not the zstd frames that they should be: ${what}.`, { cause })
}
