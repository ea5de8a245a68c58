import { FAST_CDC_MODULE } from './fast-cdc-module.ts'
import { GEAR_TABLE } from './gear-table.ts'

/** TypeScript has these types only together with a browser's. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

interface FastCdc {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  cut(at: number, min: number, center: number, end: number, strict: bigint, loose: bigint): number
}

/** Content bytes. */
export interface ChunkSizes {
  readonly min: number
  /** A power of two from 1 KiB to 1 MiB. */
  readonly average: number
  readonly max: number
}

/** As REAPI derives them: a quarter and four times the average. */
export function chunkSizes(average: number): ChunkSizes {
  return { min: average / 4, average, max: average * 4 }
}

/** Content lies in the module's memory behind the gear table. */
const DATA = 2048
const PAGE_BYTES = 65_536
/** What is left of a chunk is moved to the front once in so many of the longest ones. */
const BUFFERED_CHUNKS = 4

/**
 * The bits of the hash that must be zero at a cut, by the logarithm of the chunk size at which one is to be expected, from 256
 * bytes (8) to 4 MiB (22): the paper's, spread over the hash.
 */
const MASKS: readonly bigint[] = [
  ...[0x0000001800035300n, 0x0000019000353000n, 0x0000590003530000n, 0x0000d90003530000n, 0x0000d90103530000n],
  ...[0x0000d90303530000n, 0x0000d90313530000n, 0x0000d90f03530000n, 0x0000d90303537000n, 0x0000d90703537000n],
  ...[0x0000d90707537000n, 0x0000d91707537000n, 0x0000d91747537000n, 0x0000d91767537000n, 0x0000d93767537000n],
]
const FIRST_MASK = 8
const NORMALIZATION = 2

/**
 * Content-defined chunks of a stream: FastCDC (Xia et al., "The Design of Fast Content-Defined Chunking for Data
 * Deduplication Based Storage Systems", IEEE TPDS 2020) as REAPI has it under FAST_CDC_2020: normalisation level 2, seed 0.
 * Cuts depend on nothing but the bytes since the last one, so that an insertion changes the chunks around it alone. A chunk is
 * valid until the next one is asked for. In WebAssembly, since the hash has 64 bits.
 */
export async function* fastCdcChunks(
  bytes: AsyncIterable<Uint8Array>,
  sizes: ChunkSizes,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const cutter = new Cutter(sizes)
  const { buffer } = cutter
  let start = 0
  let end = 0
  for await (const piece of bytes) {
    signal?.throwIfAborted()
    for (let at = 0; at < piece.length; ) {
      if (end === buffer.length) {
        buffer.copyWithin(0, start, end)
        end -= start
        start = 0
      }
      const taken = Math.min(piece.length - at, buffer.length - end)
      buffer.set(piece.subarray(at, at + taken), end)
      at += taken
      end += taken
      while (end - start >= sizes.max) {
        const chunk = cutter.chunkAt(start, end)
        start += chunk.length
        yield chunk
      }
    }
  }
  while (start < end) {
    const chunk = cutter.chunkAt(start, end)
    start += chunk.length
    yield chunk
  }
}

let compiled: object | undefined

class Cutter {
  /** What is left of the longest chunk is moved to the front when it is full. */
  readonly buffer: Uint8Array
  readonly #sizes: ChunkSizes
  readonly #cut: FastCdc['cut']
  readonly #strict: bigint
  readonly #loose: bigint

  constructor(sizes: ChunkSizes) {
    compiled ??= new WebAssembly.Module(Buffer.from(FAST_CDC_MODULE, 'base64'))
    const { memory, cut } = new WebAssembly.Instance(compiled).exports as FastCdc
    const missingBytes = DATA + BUFFERED_CHUNKS * sizes.max - memory.buffer.byteLength
    if (missingBytes > 0) memory.grow(Math.ceil(missingBytes / PAGE_BYTES))
    new Uint8Array(memory.buffer).set(gearTable())
    const bits = Math.log2(sizes.average) - FIRST_MASK
    this.#sizes = sizes
    this.#cut = cut
    this.#strict = MASKS[bits + NORMALIZATION] as bigint
    this.#loose = MASKS[bits - NORMALIZATION] as bigint
    this.buffer = new Uint8Array(memory.buffer, DATA)
  }

  chunkAt(start: number, end: number): Uint8Array {
    const { min, average, max } = this.#sizes
    const most = Math.min(end - start, max)
    const length =
      most <= min ? most : this.#cut(DATA + start, min, Math.min(average, most), most, this.#strict, this.#loose)
    return this.buffer.subarray(start, start + length)
  }
}

/** WebAssembly wants the numbers little-endian. */
function gearTable(): Uint8Array {
  return Buffer.from(GEAR_TABLE, 'base64').swap64()
}
