/**
 * Gives a server what `remote-link.ts` asks it for, and prints the digests as JSON; a child of it.
 *
 *   node bench/link-fill.ts '{"port":1,"count":3,"bytes":4096,"like":"program","action":"name"}'
 */
import { createHash } from 'node:crypto'
import { asActionDigest, type Digest } from '../src/digest/digest.ts'
import { digestOf, streamDigest } from '../src/digest/sha256.ts'
import { ActionResult } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { openRemote } from '../src/store/remote/open-remote.ts'
import { content } from './blob-content.ts'

export interface Fill {
  readonly port: number
  readonly count: number
  readonly bytes: number
  readonly like: 'program' | 'noise'
  /** A result that names them, by this name. */
  readonly action?: string
}

export interface Filled {
  readonly blobs: readonly Digest[]
  readonly action?: Digest
}

const PIECE_BYTES = 16 << 20

const { port, count, bytes, like, action } = JSON.parse(process.argv[2] ?? '') as Fill
await using end = await openRemote(`grpc://127.0.0.1:${port}`)
const blobs = await Promise.all(Array.from({ length: count }, (_, number) => keep(number)))
if (action !== undefined) await end.actions.put(DEFAULT_SCOPE, named(action), result())
const filled: Filled = { blobs, ...(action !== undefined && { action: named(action) }) }
process.stdout.write(`${JSON.stringify(filled)}\n`)

async function keep(number: number): Promise<Digest> {
  if (bytes <= PIECE_BYTES) {
    const blob = piece(number, bytes)
    await end.blobs.write(DEFAULT_SCOPE, digestOf(blob), blob)
    return digestOf(blob)
  }
  const hash = streamDigest()
  for await (const part of pieces()) hash.update(part)
  const digest = hash.digest()
  await end.blobs.write(DEFAULT_SCOPE, digest, pieces())
  return digest
}

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; at += PIECE_BYTES) yield piece(at, Math.min(PIECE_BYTES, bytes - at))
}

/** Another one for each number, and as hard to compress. */
function piece(number: number, size: number): Buffer {
  const blob = like === 'program' ? content(size) : noise(number, size)
  blob.writeUInt32LE(number, 0)
  return blob
}

function noise(number: number, size: number): Buffer {
  return createHash('shake256', { outputLength: size }).update(`${number}`).digest()
}

function named(name: string) {
  return asActionDigest(digestOf(Buffer.from(name)))
}

function result(): ActionResult {
  const outputFiles = blobs.map((digest, i) => ({
    path: `f${i}`,
    digest,
    isExecutable: false,
    contents: Buffer.alloc(0),
  }))
  return { ...ActionResult.decode(Buffer.alloc(0)), outputFiles } as ActionResult
}
