import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'
import { ensureFolder, writeAtomically } from './legacy-atomic-file.ts'
import { type LegacyResult, legacyData, parseLegacyEntry } from './legacy-entry.ts'
import { legacyKey } from './legacy-key.ts'
import { holdLegacyLock, type LegacyLockOptions } from './legacy-lock.ts'
import { hasOutputsOf, outputHashes } from './legacy-outputs.ts'
import { isSignedLegacy, legacySigningKey, signLegacy } from './legacy-signature.ts'
import { cleanLegacyCache, clearLegacyCache } from './legacy-sweep.ts'
import type { LegacyTask } from './legacy-task.ts'

export type LegacyMode = 'off' | 'read' | 'read-write' | 'write'

export interface LegacyCacheOptions {
  readonly dir: string
  /** `read-write` unless said, as by an unset `CUENV_CACHE`. */
  readonly mode?: LegacyMode
  /** Entries are signed, and unsigned ones not believed: the last generation. True unless said. */
  readonly isSigned?: boolean
  readonly lock?: LegacyLockOptions
  /** Unix milliseconds. */
  readonly now?: () => number
}

/** Of this process alone: the old tool kept no file of them. */
export interface LegacyCounters {
  hits: number
  misses: number
  writes: number
}

/**
 * The task cache of old cuenv: blocking calls throughout, as there, but for the wait for a lock. Errors of the system end
 * the task; so does `store.corrupt`, an entry that is none, and `store.busy`, a lock that was not had in 30 s.
 */
export interface LegacyCache {
  readonly counters: Readonly<LegacyCounters>
  /** Reads all inputs, and writes the key's manifest whatever the mode: a sync for each look-up. */
  key(task: LegacyTask): string
  /** The result, if the outputs that it lists are in the work tree as they were. Changes nothing there. */
  get(key: string, task: LegacyTask): Promise<LegacyResult | undefined>
  /** Keeps that the task was done, with the outputs that lie there now; nothing for one that failed. */
  save(key: string, task: LegacyTask, exitCode: number): Promise<void>
  /** Removes all but the tag. */
  clear(): void
  /** Removes what is older; how many entries and manifests, and their bytes. */
  clean(maxAgeHours?: number): { removed: number; bytes: number }
}

const TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by cuenv.
# For information see https://bford.info/cachedir`

/** What the old tool kept in every generation that kept task results on disk and had a version. */
const VERSION = 1

/** Opens the folder as the old tool did at its start. Throws `store.newer-format`, or `store.corrupt` for no version at all. */
export function openLegacyCache(options: LegacyCacheOptions): LegacyCache {
  const { dir, isSigned = true } = options
  ensureFolder(dir)
  const tag = path.join(dir, 'CACHEDIR.TAG')
  if (statSync(tag, { throwIfNoEntry: false }) === undefined) writeAtomically(tag, TAG)
  ensureFolder(path.join(dir, 'hashes'))
  const signingKey = isSigned ? legacySigningKey(path.join(dir, '.signing_key')) : undefined
  checkVersion(dir)
  return new Cache(options, signingKey)
}

function checkVersion(dir: string): void {
  const file = path.join(dir, 'VERSION')
  const text = textOf(file)?.trim()
  if (text !== undefined && !/^\d+$/.test(text))
    throw new CacheError('store.corrupt', `${file} says no number: the folder is no old cache, or damaged.`)
  const version = Number(text ?? 0)
  if (version > VERSION)
    throw new CacheError('store.newer-format', `The old cache in ${dir} is of version ${version}, not ${VERSION}.`)
  if (version === VERSION) return
  if (text !== undefined) clearLegacyCache(dir)
  writeAtomically(file, String(VERSION))
}

class Cache implements LegacyCache {
  readonly counters: LegacyCounters = { hits: 0, misses: 0, writes: 0 }
  readonly #options: LegacyCacheOptions
  readonly #mode: LegacyMode
  readonly #now: () => number
  readonly #signingKey: Buffer | undefined

  constructor(options: LegacyCacheOptions, signingKey: Buffer | undefined) {
    this.#options = options
    this.#mode = options.mode ?? 'read-write'
    this.#now = options.now ?? Date.now
    this.#signingKey = signingKey
  }

  key(task: LegacyTask): string {
    const { key, manifest } = legacyKey(task)
    writeAtomically(this.#file('hashes', key), manifest)
    return key
  }

  async get(key: string, task: LegacyTask): Promise<LegacyResult | undefined> {
    if (task.config.cache !== true || !this.#mode.startsWith('read')) return undefined
    using _ = await this.#hold(key)
    const text = textOf(this.#file('tasks', key))
    const result = text === undefined ? undefined : this.#believed(text)
    const isHit = result !== undefined && result.key === key && hasOutputsOf(result, task)
    if (isHit) this.counters.hits++
    else this.counters.misses++
    return isHit ? result : undefined
  }

  async save(key: string, task: LegacyTask, exitCode: number): Promise<void> {
    if (task.config.cache !== true || !this.#mode.endsWith('write') || exitCode !== 0) return
    using _ = await this.#hold(key)
    const executedMs = this.#now()
    const data = legacyData({ key, executedMs, exitCode, outputFiles: outputHashes(task) })
    writeAtomically(this.#file('tasks', key), JSON.stringify(this.#signed(data), null, 2))
    this.counters.writes++
  }

  clear(): void {
    clearLegacyCache(this.#options.dir)
  }

  clean(maxAgeHours = 168): { removed: number; bytes: number } {
    return cleanLegacyCache(this.#options.dir, this.#now() - maxAgeHours * 3_600_000)
  }

  #hold(key: string): Promise<Disposable> {
    return holdLegacyLock(path.join(this.#options.dir, 'locks'), key, this.#options.lock)
  }

  #believed(text: string): LegacyResult | undefined {
    const entry = parseLegacyEntry(text)
    if (this.#signingKey === undefined) return entry.kind === 'plain' ? entry.result : undefined
    if (entry.kind !== 'signed') return undefined
    const nowSeconds = Math.floor(this.#now() / 1000)
    return isSignedLegacy(this.#signingKey, entry.signedText, entry.signature, nowSeconds) ? entry.result : undefined
  }

  #signed(data: object): object {
    if (this.#signingKey === undefined) return data
    return { data, ...signLegacy(this.#signingKey, JSON.stringify(data), Math.floor(this.#now() / 1000)) }
  }

  #file(folder: string, key: string): string {
    return path.join(this.#options.dir, folder, `${key}.json`)
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
