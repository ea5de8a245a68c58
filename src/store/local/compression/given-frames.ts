import { systemCode } from '../../../errors.ts'
import { type Compression, decode, type Encoded } from '../compression.ts'
import type { Codec } from '../segment.ts'
import { type FrameReader, noFrame } from './frame-reader.ts'

/** Content, and for those chunks of it that came as a frame of their own, this frame. */
export interface GivenFrames {
  /** To be read once, before or while it is encoded. */
  readonly content: AsyncIterable<Uint8Array>
  /** Expects the content in order, in chunks of `chunkBytes`. */
  readonly compression: Compression
}

/**
 * zstd data as content that need not be compressed again: where a frame is just a chunk (as in all that a store of this
 * kind gave out) it is kept as it is. Other frames are decompressed as a stream and compressed anew, chunk by chunk.
 */
export function givenFrames(frames: FrameReader, chunkBytes: number, compression: Compression): GivenFrames {
  const given: Queue = []
  return { content: contentOf(frames, chunkBytes, given), compression: new Given(given, compression) }
}

type Queue = { readonly start: number; readonly contentBytes: number; readonly frame: Uint8Array }[]

async function* contentOf(frames: FrameReader, chunkBytes: number, given: Queue): AsyncGenerator<Uint8Array> {
  let start = 0
  for await (const { content, frame } of partsOf(frames, chunkBytes)) {
    const contentBytes = content.length
    const isGiven = frame !== undefined && contentBytes > 0
    if (isGiven) given.push({ start, contentBytes, frame })
    start += contentBytes
    yield content
    if (isGiven) letGo(content)
  }
}

/**
 * Of a frame that was decompressed alone: nobody else has these bytes. Where a GiB of them waits for the garbage collector, that takes
 * as much of the processor as to hash them.
 */
function letGo({ buffer, length }: Uint8Array): void {
  const isAll = buffer.byteLength <= length + 1
  if (isAll && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** A part of some content. */
export interface Part {
  readonly content: Uint8Array
  /** What it came in. Undefined: a frame that does not say how large its content is, or holds more than was wanted. */
  readonly frame?: Uint8Array
}

/** Decompressed on other threads while the next one is read. */
const AHEAD = 2

/** The content of frames in order, no part of them larger than `mostContentBytes` that says so beforehand. Throws `store.corrupt`. */
export async function* partsOf(frames: FrameReader, mostContentBytes: number): AsyncGenerator<Part> {
  const ahead: Promise<Part>[] = []
  let next = await frames.next(mostContentBytes, false)
  while (next?.bytes !== undefined && next.contentBytes !== undefined) {
    const part = partOf(next.bytes, next.contentBytes)
    // Whoever leaves does not wait for it.
    part.catch(() => undefined)
    ahead.push(part)
    if (ahead.length > AHEAD) yield (await ahead.shift()) as Part
    next = await frames.next(mostContentBytes, false)
  }
  for (const part of ahead) yield await part
  if (next !== undefined) for await (const content of streamed(frames.rest())) yield { content }
}

async function partOf(frame: Uint8Array, contentBytes: number): Promise<Part> {
  return { content: await frameContent(frame, contentBytes), frame }
}

/** The content of one or more whole frames; `store.corrupt` when they are damaged, or it is not of that length. */
export async function frameContent(frames: Uint8Array, contentBytes: number): Promise<Uint8Array> {
  try {
    return await decode('zstd', frames, contentBytes)
  } catch (error) {
    throw noFrame('damaged', error)
  }
}

async function* streamed(frames: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Readable, pipeline } = await import('node:stream')
  const content = process.getBuiltinModule('node:zlib').createZstdDecompress()
  // What goes wrong ends `content` with it; a reader that leaves ends the rest.
  pipeline(Readable.from(frames), content, () => undefined)
  try {
    yield* content
  } catch (error) {
    // zlib's codes begin so; what the source throws is the caller's.
    throw systemCode(error)?.startsWith('Z') ? noFrame('damaged', error) : error
  }
}

class Given implements Compression {
  readonly #given: Queue
  readonly #inner: Compression
  #start = 0

  constructor(given: Queue, inner: Compression) {
    this.#given = given
    this.#inner = inner
  }

  encode(bytes: Uint8Array, codec?: Codec): Promise<Encoded> {
    const start = this.#start
    this.#start += bytes.length
    while ((this.#given[0]?.start ?? start) < start) this.#given.shift()
    const [next] = this.#given
    if (codec === 'raw' || next?.start !== start || next.contentBytes !== bytes.length)
      return this.#inner.encode(bytes, codec)
    return Promise.resolve({ codec: 'zstd', stored: next.frame })
  }

  isDense(bytes: Uint8Array): boolean {
    return this.#inner.isDense(bytes)
  }

  wrote(bytes: number, ms: number): void {
    this.#inner.wrote(bytes, ms)
  }
}
