import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cache, type CacheOptions, openCache } from '../../src/cache.ts'
import { isCacheError } from '../../src/errors.ts'
import { RunRecord } from '../../src/proto/recue/v1/recue.ts'
import { fileLeases } from '../../src/store/local/leases.ts'
import { checkEntry, type EntryShape, SMALL, saveEntry } from './entries.ts'

/** Small blobs in the index, middle ones in packs, one in a file of its own. */
export const SHAPE: EntryShape = { ...SMALL, fileBytes: 1100, largeBytes: 1_060_000, sharedFiles: 1 }
const TINY: EntryShape = { ...SMALL, fileBytes: 90 }
export const NAMES: readonly string[] = ['a', 'b', 'c', 'd', 'e']
const shapeOf = (name: string) => (name === 'a' || name === 'd' ? SHAPE : TINY)
const RECORD = Buffer.from('where this workspace stands, '.repeat(20))

/** How large blobs are kept. */
export type KeptAs = Pick<CacheOptions, 'chunking' | 'hardLink'>

/** One store at three moments, as folders to be copied. */
export class Stores implements Disposable {
  readonly base: string = mkdtempSync(join(tmpdir(), 'recue-damage-'))
  /** As it was when half of it was written. */
  readonly older: string = join(this.base, 'older')
  readonly closed: string = join(this.base, 'closed')
  /** As a killed process leaves it, with SQLite's log and its shared memory. */
  readonly killed: string = join(this.base, 'killed')
  #copies = 0

  copy(of: string): string {
    const dir = join(this.base, `copy-${this.#copies++}`)
    cpSync(of, dir, { recursive: true })
    return dir
  }

  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true, force: true })
  }
}

export async function makeStores(options: KeptAs = {}): Promise<Stores> {
  const stores = new Stores()
  const dir = join(stores.base, 'live')
  {
    await using cache = await openCache({ cacheDir: dir, ...options })
    for (const name of NAMES.slice(0, 3)) await saveEntry(cache, name, shapeOf(name))
    await cache.records.save('inputs', 'one', RECORD)
    cache.ledger.append(run('one', 1))
  }
  cpSync(dir, stores.older, { recursive: true })
  {
    await using cache = await openCache({ cacheDir: dir, ...options })
    for (const name of NAMES.slice(3)) await saveEntry(cache, name, shapeOf(name))
    await cache.records.save('outputs', 'two', RECORD)
    cache.ledger.append(run('two', 2))
    await using _ = await fileLeases(join(dir, 'locks')).hold('somebody', { note: 'at work' })
    writeFileSync(join(dir, 'tmp', 'blob-1-7'), 'half a blob')
    cpSync(dir, stores.killed, { recursive: true })
    rmSync(join(dir, 'tmp', 'blob-1-7'))
  }
  cpSync(dir, stores.closed, { recursive: true })
  return stores
}

/**
 * Opens the folder and reads everything: names of the entries that are whole. Throws for wrong bytes and for whatever is no
 * `CacheError` of opening; undefined where the folder is refused as a whole, which a build answers by going on without it.
 */
export async function readEverything(dir: string): Promise<string[] | undefined> {
  const cache = await openCache({ cacheDir: dir }).catch((error: unknown) => {
    if (isCacheError(error) && (error.code === 'store.unusable' || error.code === 'store.newer-format'))
      return undefined
    throw error
  })
  if (cache === undefined) return undefined
  await using _ = cache
  return await readOpen(cache)
}

export async function readOpen(cache: Cache): Promise<string[]> {
  const whole: string[] = []
  for (const name of NAMES) if ((await checkEntry(cache, name, shapeOf(name))) === 'whole') whole.push(name)
  for (const [kind, name] of [
    ['inputs', 'one'],
    ['outputs', 'two'],
  ] as const) {
    const record = cache.records.load(kind, name)
    if (record !== undefined && !RECORD.equals(record)) throw new Error(`wrong record ${name}`)
  }
  for (const { label, durationMs } of cache.ledger.records())
    if (!['one 1', 'two 2'].includes(`${label} ${durationMs}`)) throw new Error(`wrong run ${label}`)
  return whole
}

/** Saves every entry; what goes wrong must be told as the store's own. */
export async function saveEverything(dir: string, options: KeptAs = {}): Promise<string[]> {
  const failures: string[] = []
  await using cache = await openCache({ cacheDir: dir, ...options })
  for (const name of NAMES)
    await saveEntry(cache, name, shapeOf(name)).catch((error: unknown) => {
      if (!isCacheError(error)) throw error
      failures.push(`${name}: ${error.code}`)
    })
  return failures
}

function run(label: string, durationMs: number): RunRecord {
  return { ...RunRecord.decode(new Uint8Array(0)), label, thing: label, durationMs }
}
