import { setImmediate as breathe } from 'node:timers/promises'
import type { Digest } from '../../../digest/digest.ts'
import { boundedReader } from '../../../grpc/bounded-reader.ts'
import { Action, ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { directoryDigests, treeFileDigests } from '../../tree-digests.ts'
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
type Role = 'leaf' | 'tree' | 'directory' | 'outputs' | 'action'
type Naming = Exclude<Role, 'leaf'>
type Reference = readonly [role: Role, digest: Digest]

/** A blob that has to be read for what it names in turn. */
interface Waiting {
  readonly role: Naming
  readonly digest: Digest
  readonly number: number
  readonly step: 1 | -1
  readonly usedMs: number
}

/**
 * Counts for every blob of a census how many live things name it, so that it is known at any time what would go free if
 * an action result left. Trees and Directories are read once, however many name them.
 */
export class Marks {
  readonly #census: Census
  readonly #peek: PeekBlob
  readonly #counts: Uint32Array
  /** By blob number: when the last of those was used that named it and were dropped; 0 while none was. */
  readonly #releasedMs: Float64Array
  /** How often a blob is named in a role that names others in turn. */
  readonly #named = new Map<Naming, Uint32Array>()
  #waiting: Waiting[] = []
  #liveBytes = 0

  constructor(census: Census, peek: PeekBlob) {
    this.#census = census
    this.#peek = peek
    this.#counts = new Uint32Array(census.count)
    this.#releasedMs = new Float64Array(census.count)
  }

  /** What the blobs that something live names take on disk. */
  get liveBytes(): number {
    return this.#liveBytes
  }

  isLive(number: number): boolean {
    return (this.#counts[number] as number) > 0
  }

  releasedMsOf(number: number): number {
    return this.#releasedMs[number] as number
  }

  /** How many blobs `settle` would have to read. */
  get unsettled(): number {
    return this.#waiting.length
  }

  /** Nothing counts as settled before `settle`. */
  add(live: LiveAction): void {
    this.#count(referencesOf(live), 1, 0)
  }

  /** Takes back exactly what `add` of the same action and result did. */
  drop(live: LiveAction, usedMs: number): void {
    this.#count(referencesOf(live), -1, usedMs)
  }

  /** Goes on to what the blobs name that were named; those of one record one after the other, as it is unpacked whole. */
  async settle(signal?: AbortSignal): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting
      this.#waiting = []
      waiting.sort((a, b) => this.#census.recordOf(a.number) - this.#census.recordOf(b.number))
      for (const [i, { role, digest, step, usedMs }] of waiting.entries()) {
        this.#count(await this.#namedBy(role, digest), step, usedMs)
        if (i % READ_A_STEP === 0) await breathe(undefined, signal === undefined ? {} : { signal })
      }
    }
  }

  #count(references: readonly Reference[], step: 1 | -1, usedMs: number): void {
    for (const [role, digest] of references) {
      const number = this.#census.numberOf(Buffer.from(digest.hash, 'hex'))
      // Not there, or newer than the census: nothing to keep, or not to be judged by it.
      if (number < 0) continue
      this.#countOne(number, step, usedMs)
      if (role !== 'leaf' && this.#isFirstOrLast(role, number, step))
        this.#waiting.push({ role, digest, number, step, usedMs })
    }
  }

  #countOne(number: number, step: 1 | -1, usedMs: number): void {
    const before = this.#counts[number] as number
    if (step === -1 && before === 0) return
    this.#counts[number] = before + step
    if (step === -1 && before === 1) this.#releasedMs[number] = Math.max(this.#releasedMs[number] as number, usedMs)
    if (step === 1 ? before > 0 : before > 1) return
    this.#liveBytes += step * this.#census.storedBytesOf(number)
    // A blob in chunks keeps them for as long as it is kept itself.
    const chunks = this.#census.chunksOf(number) ?? []
    this.#count(
      chunks.map((digest) => ['leaf', digest]),
      step,
      usedMs,
    )
  }

  /** Only then does what it names change. */
  #isFirstOrLast(role: Naming, number: number, step: 1 | -1): boolean {
    const times = this.#named.get(role) ?? new Uint32Array(this.#counts.length)
    this.#named.set(role, times)
    const after = (times[number] as number) + step
    times[number] = after
    return step === 1 ? after === 1 : after === 0
  }

  /** A blob that cannot be read or understood names nothing: whoever needs it is incomplete. */
  async #namedBy(role: Naming, digest: Digest): Promise<Reference[]> {
    const bytes = await this.#peek(digest)
    if (bytes === undefined) return []
    try {
      return NAMED_IN[role](bytes)
    } catch {
      return []
    }
  }
}

/** What waits for nothing but promises keeps timers and sockets from their turn. */
const READ_A_STEP = 50

function referencesOf({ action, result }: LiveAction): Reference[] {
  const found: Reference[] = [['action', action]]
  const add = (role: Role, digest: Digest | undefined) => {
    if (digest !== undefined) found.push([role, digest])
  }
  const decoded = ActionResult.decode(result)
  for (const file of decoded.outputFiles) add('leaf', file.digest)
  for (const directory of decoded.outputDirectories) {
    add('tree', directory.treeDigest)
    add('outputs', directory.rootDirectoryDigest)
  }
  add('leaf', decoded.stdoutDigest)
  add('leaf', decoded.stderrDigest)
  return found
}

const NAMED_IN: Readonly<Record<Naming, (bytes: Uint8Array) => Reference[]>> = {
  tree: (bytes) => as('leaf', treeFileDigests(bytes)),
  directory: (bytes) => foldersIn(bytes, 'directory'),
  outputs: (bytes) => [...as('leaf', directoryDigests(bytes)?.files), ...foldersIn(bytes, 'outputs')],
  action: inAction,
}

/** Files of an input tree are not kept with a result; those of an output tree are. */
function foldersIn(bytes: Uint8Array, role: 'directory' | 'outputs'): Reference[] {
  return as(role, directoryDigests(bytes)?.directories)
}

function inAction(bytes: Uint8Array): Reference[] {
  const { commandDigest, inputRootDigest } = Action.decode(boundedReader(bytes))
  const found: Reference[] = []
  if (commandDigest !== undefined) found.push(['leaf', commandDigest])
  if (inputRootDigest !== undefined) found.push(['directory', inputRootDigest])
  return found
}

function as(role: Role, digests: readonly Digest[] = []): Reference[] {
  return digests.map((digest) => [role, digest])
}
