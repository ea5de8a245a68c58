import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { systemCode } from '../../errors.ts'
import { BATCH_BLOB_BYTES } from '../../store/contracts.ts'
import type { Workspace } from '../workspace.ts'
import { Batches } from './capture-batches.ts'
import { Unkeepable } from './capture-listing.ts'
import type { Vouchers } from './workspace-record.ts'

export interface CapturedFile {
  readonly digest: Digest
  readonly isExecutable: boolean
  /** As it was when its content was read. */
  readonly identity: StatIdentity
}

type Store = Pick<Workspace, 'root' | 'blobs' | 'files' | 'scope'>

const STREAM_CHUNK_BYTES = 256 << 10
/** A name that became a link or a pipe since it was listed is neither followed nor waited for. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * Puts the content of files into the store. {@link FileCapture.readAll} gives what was read while the last of it is still
 * being written; it is in the store when {@link FileCapture.finish} is done. Dispose of it in any case.
 */
export class FileCapture implements AsyncDisposable {
  readonly #store: Store
  readonly #batches: Batches
  readonly #captured = new Map<string, CapturedFile>()
  readonly #signal: AbortSignal | undefined

  constructor(store: Store, signal?: AbortSignal) {
    this.#store = store
    this.#batches = new Batches(store, signal)
    this.#signal = signal
  }

  /**
   * Files that look as `vouchers` know them, and whose blobs the store still has, are not read. Throws {@link Unkeepable}
   * for one that cannot be read, or is seen to change; whether one still looks as it did when it was read is the caller's
   * to check, when all are.
   */
  async readAll(
    paths: readonly string[],
    vouchers: Pick<Vouchers, 'hashOf'>,
  ): Promise<ReadonlyMap<string, CapturedFile>> {
    const unread = await this.#readUnknown(paths, (path, identity) => vouchers.hashOf(path, identity))
    const lost = await withoutBlobs(this.#store, unread, this.#captured, this.#signal)
    await this.#readUnknown(lost, () => undefined)
    await this.#batches.flush()
    return this.#captured
  }

  finish(): Promise<void> {
    return this.#batches.finish()
  }

  /** What is being written is read from buffers of this one. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#batches.settled()
  }

  /** Gives those that were not read, since `known` tells the hash of a file that looks like this. */
  async #readUnknown(
    paths: readonly string[],
    known: (path: string, identity: StatIdentity) => string | undefined,
  ): Promise<readonly string[]> {
    const unread: string[] = []
    for (const path of paths) {
      const { file, identity } = openRegular(this.#store, path)
      try {
        const hash = known(path, identity)
        if (hash !== undefined) unread.push(path)
        const digest = hash === undefined ? this.#read(file, path, identity.size) : { hash, sizeBytes: identity.size }
        // No promise for a small file: ten thousand take as long as reading them.
        this.#keep(path, identity, digest instanceof Promise ? await digest : digest)
      } finally {
        closeSync(file)
      }
    }
    return unread
  }

  #read(file: number, path: string, size: number): Digest | Promise<Digest> {
    if (size > BATCH_BLOB_BYTES) return this.#readLarge(file, path)
    const add = () => this.#batches.add((buffer, offset) => readWhole(file, path, size, buffer, offset))
    return this.#batches.lacksRoomFor(size) ? this.#batches.flush().then(add) : add()
  }

  async #readLarge(file: number, path: string): Promise<Digest> {
    const { root, blobs, files, scope } = this.#store
    const shared = await files?.ingestFile(scope, { file, path: `${root}/${path}` }, this.#signal)
    return shared ?? blobs.ingest(scope, chunksOf(file, path), this.#signal)
  }

  #keep(path: string, identity: StatIdentity, digest: Digest): void {
    if (digest.sizeBytes !== identity.size) throw changed(path)
    this.#captured.set(path, { digest, identity, isExecutable: isExecutable(identity) })
  }
}

/** Those of the captured files whose blobs the store no longer has. */
async function withoutBlobs(
  { blobs, scope }: Store,
  paths: readonly string[],
  captured: ReadonlyMap<string, CapturedFile>,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (paths.length === 0) return paths
  const digestOfPath = (path: string) => (captured.get(path) as CapturedFile).digest
  const missing = new Set((await blobs.missing(scope, paths.map(digestOfPath), signal)).map(({ hash }) => hash))
  return paths.filter((path) => missing.has(digestOfPath(path).hash))
}

export function changed(path: string): Unkeepable {
  return new Unkeepable(`"${path}" changed while it was captured`)
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
function readWhole(file: number, path: string, size: number, buffer: Buffer, offset: number): number {
  let filled = readChunk(file, path, buffer, offset, size + 1)
  while (filled < size) {
    const count = readChunk(file, path, buffer, offset + filled, size + 1 - filled)
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
    const count = readChunk(file, path, chunk, 0, chunk.length)
    if (count === 0) return
    yield chunk.subarray(0, count)
  }
}

function readChunk(file: number, path: string, buffer: Buffer, offset: number, length: number): number {
  try {
    return readSync(file, buffer, offset, length, null)
  } catch (error) {
    throw new Unkeepable(`"${path}" cannot be read (${systemCode(error)})`)
  }
}

function isExecutable({ mode }: StatIdentity): boolean {
  return (mode & 0o100) !== 0
}
