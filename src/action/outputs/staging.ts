import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { isCacheError } from '../../errors.ts'
import { BATCH_BLOB_BYTES } from '../../store/contracts.ts'
import type { Workspace } from '../workspace.ts'
import type { ResultEntry } from './result-tree.ts'
import type { Mounts } from './staging-mounts.ts'

/** Something that goes into the workspace by one rename: a file, a link, or a folder with all that is in it. */
export interface Part {
  /** Root-relative. */
  readonly path: string
  /** The first is the part itself. */
  readonly entries: readonly ResultEntry[]
  /** What is there now and is to be replaced; undefined where nothing is. */
  readonly before: StatIdentity | undefined
}

export type Staged =
  /** How each staged file looks, by its path in the workspace. */
  | { readonly kind: 'staged'; readonly identities: ReadonlyMap<string, StatIdentity> }
  | { readonly kind: 'missing'; readonly digest: Digest }

const NAME = /^restore-[0-9a-z]+-[0-9a-z]+$/
const HIDDEN_NAME = /^\.recue-restore-[0-9a-z]+-[0-9a-z]+$/
/** A restore takes seconds, a huge one minutes; what is a day old belongs to nobody. */
const ABANDONED_MS = 24 * 60 * 60 * 1000
/** Signals and other work get a turn after so many files. */
const FILES_A_TURN = 512

/**
 * The path of a private folder, yet to be made, from which a rename into the workspace works: in the cache, or hidden in
 * the root where the cache is on another file system. What killed restores left behind a day ago is removed on the way.
 */
export function chooseStagingFolder({ root, tmpDir }: Pick<Workspace, 'root' | 'tmpDir'>, mounts: Mounts): string {
  const name = `restore-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 12)}x`
  try {
    mkdirSync(tmpDir, { recursive: true, mode: 0o700 })
    accessSync(tmpDir, constants.W_OK)
    sweep(tmpDir, NAME)
    if (mounts.share(tmpDir, root)) return `${tmpDir}/${name}`
  } catch {
    // A cache that cannot be written to can still be read: the root is the other place.
  }
  sweep(root, HIDDEN_NAME)
  return `${root}/.recue-${name}`
}

/** Whether this is the path of a staging folder of such a workspace, and so may be removed as a whole. */
export function isStagingFolder({ root, tmpDir }: Pick<Workspace, 'root' | 'tmpDir'>, folder: string): boolean {
  const cut = folder.lastIndexOf('/')
  const parent = folder.slice(0, cut)
  const name = folder.slice(cut + 1)
  return (parent === tmpDir && NAME.test(name)) || (parent === root && HIDDEN_NAME.test(name))
}

/** Where a part lies in its staging folder. */
export function stagedPath(folder: string, part: number): string {
  return `${folder}/${part}`
}

/** Makes the staging folder and writes all parts into it, whole; the content was verified by the store, sizes are checked here. */
export async function stage(
  store: Pick<Workspace, 'blobs' | 'files' | 'scope'>,
  folder: string,
  parts: readonly Part[],
  signal?: AbortSignal,
): Promise<Staged> {
  const { blobs, scope } = store
  mkdirSync(folder, { mode: 0o700 })
  const contents = new Contents()
  for (const [i, part] of parts.entries()) {
    const from = stagedPath(folder, i)
    for (const entry of part.entries) {
      const to = from + entry.path.slice(part.path.length)
      if (entry.kind === 'directory') mkdirSync(to)
      else if (entry.kind === 'link') symlinkSync(entry.target, to)
      else contents.add(entry, to)
    }
  }
  const identities = new Map<string, StatIdentity>()
  const writeAll = (content: Content, bytes: Uint8Array) => {
    for (const target of content.targets) identities.set(target.path, writeFile(target, bytes))
  }
  const { empty, small, large } = contents.bySize()
  for (const content of empty) writeAll(content, new Uint8Array(0))
  let written = 0
  const wanted = small.map(({ digest }) => digest)
  for await (const { index, bytes } of wanted.length === 0 ? [] : blobs.readBatch(scope, wanted, signal)) {
    const content = small[index] as Content
    if (bytes?.byteLength !== content.digest.sizeBytes) return { kind: 'missing', digest: content.digest }
    writeAll(content, bytes)
    if (++written % FILES_A_TURN === 0) await turn(signal)
  }
  for (const content of large) {
    const written = await writeLarge(store, content, signal)
    if (!written) return { kind: 'missing', digest: content.digest }
  }
  // Looked at last, since each hard link to the same file changes it.
  for (const { path, to } of large.flatMap(({ targets }) => targets)) identities.set(path, statIdentity(lstatSync(to)))
  return { kind: 'staged', identities }
}

interface Target {
  readonly path: string
  readonly to: string
  readonly mode: number
  readonly isExecutable: boolean
}

interface Content {
  readonly digest: Digest
  readonly targets: Target[]
}

/** Each content once, however many files have it. */
class Contents {
  readonly #byHash = new Map<string, Content>()

  add({ path, digest, isExecutable }: ResultEntry & { kind: 'file' }, to: string): void {
    const target = { path, to, isExecutable, mode: isExecutable ? 0o777 : 0o666 }
    const known = this.#byHash.get(digest.hash)
    if (known === undefined) this.#byHash.set(digest.hash, { digest, targets: [target] })
    else known.targets.push(target)
  }

  bySize(): { empty: Content[]; small: Content[]; large: Content[] } {
    const empty: Content[] = []
    const small: Content[] = []
    const large: Content[] = []
    for (const content of this.#byHash.values()) {
      const { sizeBytes } = content.digest
      ;(sizeBytes === 0 ? empty : sizeBytes <= BATCH_BLOB_BYTES ? small : large).push(content)
    }
    return { empty, small, large }
  }
}

/** The umask applies, as it would to the command that made the file. */
function writeFile({ to, mode }: Target, bytes: Uint8Array): StatIdentity {
  const file = openSync(to, 'wx', mode)
  try {
    writeWhole(file, bytes)
    return statIdentity(fstatSync(file))
  } finally {
    closeSync(file)
  }
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(file, bytes, written, bytes.length - written)
  }
}

/** Shared with the store where it can be, else streamed to its first place and copied to the others. False: not in the store. */
async function writeLarge(
  { blobs, files, scope }: Pick<Workspace, 'blobs' | 'files' | 'scope'>,
  { digest, targets }: Content,
  signal?: AbortSignal,
): Promise<boolean> {
  let copy: string | undefined
  for (const target of targets) {
    const options = { isExecutable: target.isExecutable, signal }
    if ((await files?.place(scope, digest, target.to, options)) !== undefined) continue
    if (copy !== undefined) copyLarge(copy, target)
    else if (!(await streamLarge({ blobs, scope }, digest, target, signal))) return false
    else copy = target.to
  }
  return true
}

async function streamLarge(
  { blobs, scope }: Pick<Workspace, 'blobs' | 'scope'>,
  digest: Digest,
  { to, mode }: Target,
  signal?: AbortSignal,
): Promise<boolean> {
  const file = openSync(to, 'wx', mode)
  try {
    return (await copyBlob({ blobs, scope }, digest, file, signal)) === digest.sizeBytes
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.corrupt') return false
    throw error
  } finally {
    closeSync(file)
  }
}

/** Made first, so that the umask says its mode: a copy takes that of what it copies. */
function copyLarge(from: string, { to, mode }: Target): void {
  const file = openSync(to, 'wx', mode)
  const allowed = fstatSync(file).mode
  closeSync(file)
  copyFileSync(from, to, constants.COPYFILE_FICLONE)
  chmodSync(to, allowed & 0o777)
}

async function copyBlob(
  { blobs, scope }: Pick<Workspace, 'blobs' | 'scope'>,
  digest: Digest,
  file: number,
  signal?: AbortSignal,
): Promise<number> {
  await using bytes = await blobs.read(scope, digest, signal === undefined ? {} : { signal })
  let copied = 0
  if (bytes === undefined) return -1
  for await (const chunk of bytes) {
    writeWhole(file, chunk)
    copied += chunk.byteLength
    await turn(signal)
  }
  return copied
}

async function turn(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  signal?.throwIfAborted()
}

function sweep(folder: string, pattern: RegExp): void {
  for (const name of readdirSync(folder)) {
    if (!pattern.test(name)) continue
    const stats = lstatSync(`${folder}/${name}`, { throwIfNoEntry: false })
    if (stats?.isDirectory() && stats.mtimeMs < Date.now() - ABANDONED_MS) {
      rmSync(`${folder}/${name}`, { recursive: true, force: true })
    }
  }
}
