import type { Digest } from './digest.ts'
import { digestOf } from './sha256.ts'
import { SHA256_MODULE } from './sha256-module.ts'

/** TypeScript has these types only together with a browser's. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

interface Sha256 {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** Of the `length` bytes at {@link MESSAGE}; the hash is then at {@link HASH}. */
  sha256(length: number): void
}

const HASH = 512
const MESSAGE = 544
/** What the module's page of memory holds, with room for the padding. */
const MOST_BYTES = 65_536 - MESSAGE - 72

let loaded: { readonly sha256: Sha256['sha256']; readonly memory: Buffer } | undefined

function load(): NonNullable<typeof loaded> {
  const module = new WebAssembly.Module(Buffer.from(SHA256_MODULE, 'base64'))
  const { sha256, memory } = new WebAssembly.Instance(module).exports as Sha256
  return { sha256, memory: Buffer.from(memory.buffer) }
}

/**
 * The digest of a small message, on the way of a hit: SHA-256 (FIPS 180-4) in a kilobyte of WebAssembly, which is there at
 * once, while `node:crypto` takes 1 to 2 ms to load in Bun and 5 in Node, and Web Crypto 0.3 ms for each digest. For
 * messages of some kilobytes: what is larger than {@link MOST_BYTES} is left to `node:crypto`, which is faster there.
 */
export function digestOfMessage(bytes: Uint8Array): Digest {
  if (bytes.length > MOST_BYTES) return digestOf(bytes)
  loaded ??= load()
  const { sha256, memory } = loaded
  memory.set(bytes, MESSAGE)
  sha256(bytes.length)
  return { hash: memory.toString('hex', HASH, HASH + 32), sizeBytes: bytes.length }
}
