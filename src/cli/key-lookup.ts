import { type ActionDigest, asActionDigest, type Digest } from '../digest/digest.ts'
import { CacheError } from '../errors.ts'
import type { Ledger } from '../observe/ledger.ts'
import type { Catalog, CatalogEntry } from '../store/contracts.ts'
import { formatSize } from '../units/size.ts'

/** Digits of a key that are shown: as many as git shows of a commit, and a few more since there may be more of them. */
export const SHOWN_DIGITS = 10
const FEWEST_DIGITS = 6
const PREFIX = /^[0-9a-f]{6,64}$/

/** A key that somebody named by its first digits. */
export interface FoundKey {
  readonly key: ActionDigest
  /** Undefined where no result is kept under it any more. */
  readonly entry: CatalogEntry | undefined
}

/** Whether a word can be a key, or its beginning. */
export function looksLikeKey(word: string): boolean {
  return PREFIX.test(word.toLowerCase())
}

/**
 * The one key that begins so, among the results that are kept and the runs that are recorded. Throws `usage` where the word is
 * no beginning of a key or of several, and `store.no-entry` where there is none.
 */
export async function findKey(word: string, from: { catalog: Catalog; ledger: Ledger }): Promise<FoundKey> {
  const prefix = word.toLowerCase()
  if (!looksLikeKey(prefix)) {
    throw new CacheError('usage', `"${word}" is not a key.`, {
      hint: `A key is ${FEWEST_DIGITS} or more of its hexadecimal digits; recue ls lists them.`,
    })
  }
  const found = await keysBeginning(prefix, from)
  const [first] = found
  if (first === undefined) {
    throw new CacheError('store.no-entry', `No key begins with ${word}.`, { hint: 'recue ls lists what is kept.' })
  }
  if (found.length > 1) throw ambiguous(word, found)
  return first
}

async function keysBeginning(prefix: string, from: { catalog: Catalog; ledger: Ledger }): Promise<FoundKey[]> {
  const found = new Map<string, FoundKey>()
  for await (const entry of from.catalog.list()) {
    if (entry.action.hash.startsWith(prefix)) found.set(entry.action.hash, { key: entry.action, entry })
  }
  if (found.size === 0) {
    for (const { key } of from.ledger.records({ newestFirst: true })) {
      if (key?.hash.startsWith(prefix)) found.set(key.hash, { key: asActionDigest(key as Digest), entry: undefined })
    }
  }
  return [...found.values()]
}

function ambiguous(word: string, found: readonly FoundKey[]): CacheError {
  const some = found
    .slice(0, 4)
    .map(
      ({ key, entry }) =>
        `${key.hash.slice(0, word.length + 6)} (${entry === undefined ? 'not kept' : formatSize(entry.contentBytes)})`,
    )
  return new CacheError('usage', `${found.length} keys begin with ${word}.`, {
    hint: `Write more of it: ${some.join(', ')}.`,
  })
}
