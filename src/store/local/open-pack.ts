import { decodeSync } from './compression.ts'
import { decodePack, packEntry } from './segment.ts'

/** A pack whose checksums were good, decompressed. */
export class OpenPack {
  readonly content: Uint8Array
  readonly #entries: Uint8Array
  /** Where each blob starts, and where the last one ends. */
  readonly #starts: Uint32Array

  private constructor(entries: Uint8Array, starts: Uint32Array, content: Uint8Array) {
    this.#entries = entries
    this.#starts = starts
    this.content = content
  }

  /** Undefined: the record is damaged, or no pack. */
  static of(record: Uint8Array): OpenPack | undefined {
    const pack = decodePack(record)
    if (pack === undefined) return undefined
    const starts = new Uint32Array(pack.count + 1)
    for (let i = 0; i < pack.count; i++) starts[i + 1] = (starts[i] as number) + packEntry(pack.entries, i).sizeBytes
    try {
      return new OpenPack(pack.entries, starts, decodeSync(pack.codec, pack.body, starts[pack.count] as number))
    } catch {
      return undefined
    }
  }

  get count(): number {
    return this.#starts.length - 1
  }

  /** A view of the blob at a place in the pack; undefined where another one is, or none. */
  member(ordinal: number, hash: string): Uint8Array | undefined {
    if (ordinal >= this.count) return undefined
    if (Buffer.from(packEntry(this.#entries, ordinal).hash).toString('hex') !== hash) return undefined
    return this.content.subarray(this.#starts[ordinal], this.#starts[ordinal + 1])
  }
}
