import { setImmediate } from 'node:timers/promises'
import type { ActionDigest, Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import type { Scope } from '../../store/contracts.ts'
import { artifactKey, artifactResult, headersOf } from '../artifacts.ts'
import type { Served } from '../protocol.ts'

/** What names an entry: entries of other refs and versions are others. */
export interface EntryName {
  /** Where it is kept: `refs/heads/main`, or empty. */
  readonly ref: string
  /** The client's digest of the paths and the compression: to be met exactly. */
  readonly version: string
  readonly key: string
}

/** An archive, in the pieces it was uploaded in. */
export interface Archive {
  readonly parts: readonly Digest[]
  readonly sizeBytes: number
  readonly createdMs: number
}

const TOOL = 'actions-cache'
const CREATED = 'created-ms'
/** One in so many puts looks at that many names: at most a third of them, in the long run, are of entries that have gone. */
const SWEEP_ONE_IN = 64
const SWEPT_NAMES = 256
/** Read in about ten milliseconds. */
const PAGE_NAMES = 1000

type Store = Pick<Served, 'actions' | 'records' | 'usage'>

export function entryDigest({ ref, version, key }: EntryName): ActionDigest {
  return artifactKey(TOOL, `${ref}\0${version}\0${key}`)
}

/** Whole, or undefined. */
export async function archiveAt(
  { actions }: Pick<Served, 'actions'>,
  scope: Scope,
  entry: ActionDigest,
  signal: AbortSignal,
): Promise<Archive | undefined> {
  const lookup = await actions.get(scope, entry, signal)
  if (lookup.kind === 'miss') return undefined
  const parts = lookup.result.outputFiles.flatMap(({ digest }) => digest ?? [])
  const createdMs = Number(headersOf(lookup.result)[CREATED] ?? 0)
  return { parts, sizeBytes: sizeOf(parts), createdMs }
}

export function sizeOf(parts: readonly Digest[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

export interface Wanted {
  /** In the order in which they are looked through. */
  readonly refs: readonly string[]
  readonly version: string
  /** The first is met exactly if it can be; each, in turn, may be the beginning of an entry's key. */
  readonly keys: readonly string[]
}

/** GitHub's rule: all keys within a ref before the next ref; of those that begin alike, the newest. */
export async function findEntry(
  store: Store,
  scope: Scope,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<EntryName | undefined> {
  const found = await lookedThrough(store, scope, wanted, signal)
  const { instance } = scope
  if (found !== undefined) store.usage?.note({ kind: 'hit', instance, action: entryDigest(found), by: TOOL })
  else {
    const action = entryDigest({ ref: wanted.refs[0] ?? '', version: wanted.version, key: wanted.keys[0] ?? '' })
    store.usage?.note({ kind: 'miss', instance, action, by: TOOL })
  }
  return found
}

async function lookedThrough(
  store: Store,
  scope: Scope,
  { refs, version, keys }: Wanted,
  signal: AbortSignal,
): Promise<EntryName | undefined> {
  for (const ref of refs) {
    const exact = { ref, version, key: keys[0] ?? '' }
    const archive = await archiveAt(store, scope, entryDigest(exact), signal)
    if (archive !== undefined) {
      // The index may have been lost since it was put.
      await remember(store, scope, exact, archive.createdMs)
      return exact
    }
    for (const prefix of keys) {
      const found = await newest(store, scope, { ref, version, key: prefix }, signal)
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** Makes an archive an entry, whose key is then taken. */
export async function keepEntry(
  store: Store,
  scope: Scope,
  name: EntryName,
  archive: Archive,
  signal: AbortSignal,
): Promise<void> {
  const { createdMs, parts } = archive
  const entry = entryDigest(name)
  const headers = { [CREATED]: String(createdMs) }
  const result = artifactResult(parts, { tool: TOOL, key: name.key, headers })
  await store.actions.put(scope, entry, result, signal)
  store.usage?.note({ kind: 'kept', instance: scope.instance, action: entry, by: TOOL, of: { result } })
  await remember(store, scope, name, createdMs)
  if (Number.parseInt(entry.hash.slice(0, 8), 16) % SWEEP_ONE_IN === 0) await sweep(store, scope, name, signal)
}

/** The newest that is still there; those that have gone are forgotten. */
async function newest(
  store: Store,
  scope: Scope,
  prefix: EntryName,
  signal: AbortSignal,
): Promise<EntryName | undefined> {
  const candidates: { readonly name: string; readonly createdMs: number }[] = []
  for await (const names of pagesWith(store, scope, prefix, signal))
    for (const name of names) candidates.push({ name, createdMs: createdOf(store, name) })
  candidates.sort((a, b) => b.createdMs - a.createdMs)
  for (const { name } of candidates) {
    const found = { ...prefix, key: name.slice(spaceOf(scope, prefix).length) }
    if (await isThere(store, scope, found, signal)) return found
  }
  return undefined
}

/** Some are looked at that follow the one just put; after the last comes the first. */
async function sweep(store: Store, scope: Scope, put: EntryName, signal: AbortSignal): Promise<void> {
  const space = spaceOf(scope, put)
  const following = store.records.names('actions-cache', space, { after: `${space}${put.key}`, most: SWEPT_NAMES })
  const first = store.records.names('actions-cache', space, { most: SWEPT_NAMES - following.length })
  for (const name of [...following, ...first])
    await isThere(store, scope, { ...put, key: name.slice(space.length) }, signal)
}

async function isThere(store: Store, scope: Scope, name: EntryName, signal: AbortSignal): Promise<boolean> {
  if ((await archiveAt(store, scope, entryDigest(name), signal)) !== undefined) return true
  await store.records.remove('actions-cache', `${spaceOf(scope, name)}${name.key}`)
  return false
}

/** A record for each entry, whose name ends in the key: what begins with a prefix is then one range of the store's index. */
async function remember({ records }: Store, scope: Scope, name: EntryName, createdMs: number): Promise<void> {
  const record = `${spaceOf(scope, name)}${name.key}`
  const bytes = Buffer.from(String(createdMs))
  if (records.load('actions-cache', record) === undefined) await records.save('actions-cache', record, bytes)
}

/** Other requests have their turn between one page and the next. */
async function* pagesWith(
  { records }: Store,
  scope: Scope,
  prefix: EntryName,
  signal: AbortSignal,
): AsyncGenerator<readonly string[]> {
  const start = `${spaceOf(scope, prefix)}${prefix.key}`
  for (let after = ''; ; ) {
    const names = records.names('actions-cache', start, { after, most: PAGE_NAMES })
    yield names
    if (names.length < PAGE_NAMES) return
    after = names.at(-1) ?? ''
    await setImmediate()
    signal.throwIfAborted()
  }
}

function createdOf({ records }: Store, name: string): number {
  return Number(Buffer.from(records.load('actions-cache', name) ?? []).toString())
}

/** What the names of one instance, ref and version begin with. */
function spaceOf({ instance }: Scope, { ref, version }: Omit<EntryName, 'key'>): string {
  return `entry ${digestOf(Buffer.from(`${instance}\0${ref}\0${version}`)).hash.slice(0, 32)} `
}
