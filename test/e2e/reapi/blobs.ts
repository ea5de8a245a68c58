import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { encoded } from './client.ts'

/** REAPI's Digest. */
export interface Digest {
  readonly hash: string
  readonly sizeBytes: number
}

export const EMPTY: Digest = digestOf(Buffer.alloc(0))

export function digestOf(bytes: Uint8Array): Digest {
  return { hash: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length }
}

/** Bytes that no other test has: half of them compressible. */
export function fresh(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes, randomUUID())
  return Buffer.concat([randomBytes(Math.floor(sizeBytes / 2)), bytes]).subarray(0, sizeBytes)
}

/** A digest of what nobody has. */
export function absent(sizeBytes = 100): Digest {
  return digestOf(fresh(sizeBytes))
}

export const zstd = (bytes: Uint8Array): Buffer => zstdCompressSync(bytes)
export const unzstd = (bytes: Uint8Array): Buffer => zstdDecompressSync(bytes)

export function readName({ hash, sizeBytes }: Digest, more: { instance?: string; compressor?: string } = {}): string {
  return `${prefix(more.instance)}${kind(more.compressor)}/${hash}/${sizeBytes}`
}

export function writeName(
  digest: Digest,
  more: { instance?: string; compressor?: string; uuid?: string } = {},
): string {
  const { instance, uuid = randomUUID(), ...rest } = more
  return `${prefix(instance)}uploads/${uuid}/${readName(digest, rest)}`
}

const prefix = (instance: string | undefined) => (instance === undefined ? '' : `${instance}/`)
const kind = (compressor: string | undefined) => (compressor === undefined ? 'blobs' : `compressed-blobs/${compressor}`)

const V2 = 'build.bazel.remote.execution.v2'

export function directory(files: readonly Digest[], directories: readonly Digest[] = []): Buffer {
  return encoded(`${V2}.Directory`, {
    files: files.map((digest, i) => ({ name: `file${i}`, digest })),
    directories: directories.map((digest, i) => ({ name: `dir${i}`, digest })),
  })
}

export function tree(files: readonly Digest[]): Buffer {
  const child = { files: files.map((digest, i) => ({ name: `file${i}`, digest })) }
  const digest = digestOf(encoded(`${V2}.Directory`, child))
  return encoded(`${V2}.Tree`, { root: { directories: [{ name: 'dir', digest }] }, children: [child] })
}

/** A blob cut up as messages of a ByteStream.Write. */
export function* writeRequests(name: string, bytes: Uint8Array, { chunkBytes = 64 << 10, offset = 0 } = {}) {
  let at = 0
  do {
    const data = bytes.subarray(at, at + chunkBytes)
    const isLast = at + data.length === bytes.length
    yield { ...(at === 0 && { resourceName: name }), writeOffset: offset + at, data, finishWrite: isLast }
    at += data.length
  } while (at < bytes.length)
}
