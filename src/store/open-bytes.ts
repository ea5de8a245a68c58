import type { OpenBytes, ReadOptions } from './contracts.ts'

/** Bytes in memory as a stream of one chunk (none when empty), with nothing to close. */
export function openBytes(bytes: Uint8Array): OpenBytes {
  return {
    async *[Symbol.asyncIterator]() {
      if (bytes.length > 0) yield bytes
    },
    async [Symbol.asyncDispose]() {},
  }
}

/** Bytes that turn out to be wrong when they are read. */
export function failingBytes(error: unknown): OpenBytes {
  return {
    // biome-ignore lint/correctness/useYield: what is wrong is told where the bytes would be.
    async *[Symbol.asyncIterator]() {
      throw error
    },
    async [Symbol.asyncDispose]() {},
  }
}

/** The part that was asked for. */
export function sliced(bytes: Uint8Array, { offset = 0, length = Number.POSITIVE_INFINITY }: ReadOptions): Uint8Array {
  return bytes.subarray(offset, Math.min(bytes.length, offset + length))
}
