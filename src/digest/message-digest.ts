import type { Digest } from './digest.ts'
import { digestOf } from './sha256.ts'

/** Beyond this `node:crypto` has digested it, loaded and all, before JavaScript has. */
const MOST_BYTES = 4096

/**
 * The digest of a small message, on the way of a hit: SHA-256 (FIPS 180-4) in JavaScript, which is there at once, while
 * `node:crypto` takes 1 to 2 ms to load in Bun and 5 in Node, and WebAssembly or Web Crypto half a millisecond. What is
 * larger than {@link MOST_BYTES} is left to `node:crypto`.
 */
export function digestOfMessage(bytes: Uint8Array): Digest {
  if (bytes.length > MOST_BYTES) return digestOf(bytes)
  const state = new Int32Array(START)
  const padded = paddedMessage(bytes)
  for (let at = 0; at < padded.byteLength; at += 64) digestBlock(state, padded, at)
  let hash = ''
  for (let i = 0; i < 8; i++) hash += ((state[i] as number) >>> 0).toString(16).padStart(8, '0')
  return { hash, sizeBytes: bytes.length }
}

function paddedMessage(bytes: Uint8Array): DataView {
  const padded = new Uint8Array((bytes.length + 72) & -64)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 4, bytes.length * 8)
  return view
}

const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]

// biome-ignore format: eight a line, as the standard prints them
const K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
])
const schedule = new Int32Array(64)

function digestBlock(state: Int32Array, message: DataView, at: number): void {
  const w = schedule
  for (let i = 0; i < 16; i++) w[i] = message.getInt32(at + 4 * i)
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15] as number
    const y = w[i - 2] as number
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    w[i] = (w[i - 16] as number) + s0 + (w[i - 7] as number) + s1
  }
  // One by one: taken apart as an iterable, the first time costs Bun a tenth of a millisecond.
  let a = state[0] as number
  let b = state[1] as number
  let c = state[2] as number
  let d = state[3] as number
  let e = state[4] as number
  let f = state[5] as number
  let g = state[6] as number
  let h = state[7] as number
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (h + s1 + (g ^ (e & (f ^ g))) + (K[i] as number) + (w[i] as number)) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = s0 + ((a & b) ^ (c & (a ^ b)))
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  const sum = [a, b, c, d, e, f, g, h]
  for (let i = 0; i < 8; i++) state[i] = (state[i] as number) + (sum[i] as number)
}
