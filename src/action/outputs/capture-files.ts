import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { systemCode } from '../../errors.ts'
import { BATCH_BLOB_BYTES } from '../../store/contracts.ts'
import type { Workspace } from '../workspace.ts'
import { Unkeepable } from './capture-listing.ts'
import type { Vouchers } from './workspace-record.ts'

export interface CapturedFile {
  readonly digest: Digest
  readonly isExecutable: boolean
  /** As it was when its content was read. */
  readonly identity: StatIdentity
}

type Store = Pick<Workspace, 'root' | 'blobs' | 'scope'>

/** Collected before the store is asked what it lacks; with one batch being written and one being read, 24 MiB at most. */
const BATCH_BYTES = 8 << 20
const BATCH_FILES = 2_000
const STREAM_CHUNK_BYTES = 256 << 10
/** A name that became a link or a pipe since it was listed is neither followed nor waited for. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * Puts the content of all these files into the store. Throws {@link Unkeepable} for one that cannot be read, or is seen
 * to change; whether one still looks as it did when it was read is the caller's to check, when all are.
 */
export async function captureFiles(
  store: Store,
  paths: readonly string[],
  vouchers: Vouchers,
  signal?: AbortSignal,
): Promise<Map<string, CapturedFile>> {
  const captured = new Map<string, CapturedFile>()
  const unread = await skipKnown(store, paths, vouchers, captured, signal)
  const batches = new Batches(store, signal)
  try {
    for (const path of unread) {
      const { file, identity } = openRegular(store, path)
      try {
        const isSmall = identity.size <= BATCH_BLOB_BYTES
        if (isSmall && batches.lacksRoomFor(identity.size)) await batches.flush()
        const digest = isSmall
          ? batches.add((room) => readWhole(file, path, identity.size, room))
          : await store.blobs.ingest(store.scope, chunksOf(file, path), signal)
        if (digest.sizeBytes !== identity.size) throw changed(path)
        captured.set(path, { digest, identity, isExecutable: isExecutable(identity) })
      } finally {
        closeSync(file)
      }
    }
  } finally {
    await batches.finish()
  }
  return captured
}

export function changed(path: string): Unkeepable {
  return new Unkeepable(`"${path}" changed while it was captured`)
}

/** Files that look as they did when recorded, and whose blobs the store still has, are not read. Gives the others. */
async function skipKnown(
  { root, blobs, scope }: Store,
  paths: readonly string[],
  vouchers: Vouchers,
  captured: Map<string, CapturedFile>,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const known = new Map<string, CapturedFile>()
  for (const path of paths) {
    const stats = lstatSync(`${root}/${path}`, { throwIfNoEntry: false })
    if (!stats?.isFile()) continue
    const identity = statIdentity(stats)
    const hash = vouchers.hashOf(path, identity)
    if (hash === undefined) continue
    known.set(path, { digest: { hash, sizeBytes: identity.size }, identity, isExecutable: isExecutable(identity) })
  }
  if (known.size === 0) return paths
  const digests = [...known.values()].map(({ digest }) => digest)
  const missing = new Set((await blobs.missing(scope, digests, signal)).map(({ hash }) => hash))
  for (const [path, file] of known) if (!missing.has(file.digest.hash)) captured.set(path, file)
  return paths.filter((path) => !captured.has(path))
}

/** Small blobs on their way into the store: one batch is written while the next one is read. */
class Batches {
  readonly #store: Store
  readonly #signal: AbortSignal | undefined
  readonly #seen = new Set<string>()
  #batch: { digest: Digest; bytes: Uint8Array }[] = []
  /** One buffer a batch instead of one a file; a new one each time, since the store may still hold the last. */
  #buffer: Buffer | undefined
  #filled = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(store: Store, signal: AbortSignal | undefined) {
    this.#store = store
    this.#signal = signal
  }

  /** Ask before each {@link add}, and flush when it does. One byte more is wanted, to see a file that grew. */
  lacksRoomFor(size: number): boolean {
    return this.#filled + size + 1 > BATCH_BYTES || this.#batch.length >= BATCH_FILES
  }

  /** `read` fills the beginning of the room it is given and says how far. */
  add(read: (room: Buffer) => number): Digest {
    this.#buffer ??= Buffer.allocUnsafeSlow(BATCH_BYTES)
    const end = this.#filled + read(this.#buffer.subarray(this.#filled))
    const bytes = this.#buffer.subarray(this.#filled, end)
    const digest = digestOf(bytes)
    if (this.#seen.has(digest.hash)) return digest
    this.#seen.add(digest.hash)
    this.#batch.push({ digest, bytes })
    this.#filled = end
    return digest
  }

  async finish(): Promise<void> {
    await this.flush()
    await this.#writing
  }

  async flush(): Promise<void> {
    await this.#writing
    this.#signal?.throwIfAborted()
    if (this.#batch.length === 0) return
    this.#writing = this.#write(this.#batch)
    // It is awaited by the next flush; until then a failure is not to count as one nobody looks at.
    this.#writing.catch(() => {})
    this.#batch = []
    this.#buffer = undefined
    this.#filled = 0
    // Gives the store and signals a turn, since everything else here is synchronous.
    await new Promise((resolve) => setImmediate(resolve))
  }

  async #write(batch: readonly { digest: Digest; bytes: Uint8Array }[]): Promise<void> {
    const { blobs, scope } = this.#store
    const absent = await blobs.missing(
      scope,
      batch.map(({ digest }) => digest),
      this.#signal,
    )
    if (absent.length === 0) return
    const wanted = new Set(absent.map(({ hash }) => hash))
    await Promise.all(
      batch
        .filter(({ digest }) => wanted.has(digest.hash))
        .map(({ digest, bytes }) => blobs.write(scope, digest, bytes, this.#signal)),
    )
  }
}

function openRegular({ root }: Store, path: string): { file: number; identity: StatIdentity } {
  let file: number
  try {
    file = openSync(`${root}/${path}`, OPEN_FLAGS)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ELOOP') throw changed(path)
    throw new Unkeepable(`"${path}" cannot be read (${code})`)
  }
  const stats = fstatSync(file)
  if (stats.isFile()) return { file, identity: statIdentity(stats) }
  closeSync(file)
  throw changed(path)
}

/** One byte more is asked for than there should be, so that a file which grew shows. */
function readWhole(file: number, path: string, size: number, room: Buffer): number {
  let filled = readChunk(file, path, room.subarray(0, size + 1))
  while (filled < size) {
    const count = readChunk(file, path, room.subarray(filled, size + 1))
    if (count === 0) throw changed(path)
    filled += count
  }
  if (filled > size) throw changed(path)
  return filled
}

/** A fresh buffer each time, since the store may still hold the last one. */
async function* chunksOf(file: number, path: string): AsyncGenerator<Uint8Array> {
  for (;;) {
    const chunk = Buffer.allocUnsafeSlow(STREAM_CHUNK_BYTES)
    const count = readChunk(file, path, chunk)
    if (count === 0) return
    yield chunk.subarray(0, count)
  }
}

function readChunk(file: number, path: string, chunk: Buffer): number {
  try {
    return readSync(file, chunk, 0, chunk.length, null)
  } catch (error) {
    throw new Unkeepable(`"${path}" cannot be read (${systemCode(error)})`)
  }
}

function isExecutable({ mode }: StatIdentity): boolean {
  return (mode & 0o100) !== 0
}
