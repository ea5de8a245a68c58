import type { Digest } from '../../../digest/digest.ts'
import {
  Action,
  ActionResult,
  Directory,
  Tree,
} from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Census } from './collector-census.ts'

/** The content of a small blob without counting as a use of it; undefined when it is not there or damaged. */
export type PeekBlob = (digest: Digest) => Promise<Uint8Array | undefined>

/** What an action result keeps alive: the blobs it names, and those of the Action, Command and Directories behind its key. */
export interface LiveAction {
  readonly action: Digest
  /** The encoded ActionResult. */
  readonly result: Uint8Array
}

/**
 * What a blob is to whoever names it: `leaf` names nothing further. The same bytes may be named as several of them, which
 * are counted apart.
 */
type Role = 'leaf' | 'tree' | 'directory' | 'action'
type Reference = readonly [role: Role, digest: Digest]

/**
 * Counts for every blob of a census how many live things name it, so that it is known at any time what would go free if
 * an action result left. Trees and Directories are read once, however many name them.
 */
export class Marks {
  readonly #census: Census
  readonly #peek: PeekBlob
  readonly #counts: Uint32Array
  /** How often a blob is named in a role that names others in turn. */
  readonly #named = {
    tree: new Map<number, number>(),
    directory: new Map<number, number>(),
    action: new Map<number, number>(),
  }
  #liveBytes = 0

  constructor(census: Census, peek: PeekBlob) {
    this.#census = census
    this.#peek = peek
    this.#counts = new Uint32Array(census.count)
  }

  /** What the blobs that something live names take on disk. */
  get liveBytes(): number {
    return this.#liveBytes
  }

  isLive(number: number): boolean {
    return (this.#counts[number] as number) > 0
  }

  add(live: LiveAction): Promise<void> {
    return this.#walk(referencesOf(live), 1)
  }

  /** Takes back exactly what `add` of the same action and result did; tells of each blob that nothing names any more. */
  drop(live: LiveAction, released: (number: number) => void): Promise<void> {
    return this.#walk(referencesOf(live), -1, released)
  }

  async #walk(references: readonly Reference[], step: 1 | -1, released?: (number: number) => void): Promise<void> {
    const waiting = [...references]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [role, digest] = next
      const number = this.#census.numberOf(Buffer.from(digest.hash, 'hex'))
      // Not there, or newer than the census: nothing to keep, or not to be judged by it.
      if (number < 0) continue
      this.#count(number, step)
      if (step === -1 && !this.isLive(number)) released?.(number)
      if (role !== 'leaf' && this.#isFirstOrLast(role, number, step))
        waiting.push(...(await this.#namedBy(role, digest)))
    }
  }

  #count(number: number, step: 1 | -1): void {
    const before = this.#counts[number] as number
    this.#counts[number] = before + step
    if (before === 0) this.#liveBytes += this.#census.storedBytesOf(number)
    if (before === 1 && step === -1) this.#liveBytes -= this.#census.storedBytesOf(number)
  }

  /** Only then does what it names change. */
  #isFirstOrLast(role: Exclude<Role, 'leaf'>, number: number, step: 1 | -1): boolean {
    const times = this.#named[role]
    const after = (times.get(number) ?? 0) + step
    if (after === 0) times.delete(number)
    else times.set(number, after)
    return step === 1 ? after === 1 : after === 0
  }

  /** A blob that cannot be read or understood names nothing: whoever needs it is incomplete. */
  async #namedBy(role: Exclude<Role, 'leaf'>, digest: Digest): Promise<Reference[]> {
    const bytes = await this.#peek(digest)
    if (bytes === undefined) return []
    try {
      return role === 'tree' ? inTree(bytes) : role === 'directory' ? inDirectory(bytes) : inAction(bytes)
    } catch {
      return []
    }
  }
}

function referencesOf({ action, result }: LiveAction): Reference[] {
  const found: Reference[] = [['action', action]]
  const add = (role: Role, digest: Digest | undefined) => {
    if (digest !== undefined) found.push([role, digest])
  }
  const decoded = ActionResult.decode(result)
  for (const file of decoded.outputFiles) add('leaf', file.digest)
  for (const directory of decoded.outputDirectories) {
    add('tree', directory.treeDigest)
    add('directory', directory.rootDirectoryDigest)
  }
  add('leaf', decoded.stdoutDigest)
  add('leaf', decoded.stderrDigest)
  return found
}

function inTree(bytes: Uint8Array): Reference[] {
  const { root, children } = Tree.decode(bytes)
  return [...(root === undefined ? [] : [root]), ...children].flatMap(({ files }) => leaves(files))
}

/** Files of an input tree are not kept with a result; of an output tree they are named by the Tree too. */
function inDirectory(bytes: Uint8Array): Reference[] {
  const { directories } = Directory.decode(bytes)
  return directories.flatMap(({ digest }): Reference[] => (digest === undefined ? [] : [['directory', digest]]))
}

function inAction(bytes: Uint8Array): Reference[] {
  const { commandDigest, inputRootDigest } = Action.decode(bytes)
  const found: Reference[] = []
  if (commandDigest !== undefined) found.push(['leaf', commandDigest])
  if (inputRootDigest !== undefined) found.push(['directory', inputRootDigest])
  return found
}

function leaves(files: readonly { readonly digest?: Digest | undefined }[]): Reference[] {
  return files.flatMap(({ digest }): Reference[] => (digest === undefined ? [] : [['leaf', digest]]))
}
