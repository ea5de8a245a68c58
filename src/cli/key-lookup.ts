import { type ActionDigest, asActionDigest, type Digest } from '../digest/digest.ts'
import { CacheError } from '../errors.ts'
import type { Ledger } from '../observe/ledger.ts'
import type { Catalog, CatalogEntry } from '../store/contracts.ts'
import { formatSize } from '../units/size.ts'

/** Digits of a key that are shown: as many as git shows of a commit, and a few more since there may be more of them. */
export const SHOWN_DIGITS = 10
const FEWEST_DIGITS = 6
const PREFIX = /^[0-9a-f]{6,64}$/

/** A key that somebody named by its first digits, or by what a build tool calls it. */
export interface FoundKey {
  readonly key: ActionDigest
  readonly instance: string
  /** Undefined where no result is kept under it any more. */
  readonly entry: CatalogEntry | undefined
}

/** Whether a word can be a key, or its beginning. */
export function looksLikeKey(word: string): boolean {
  return PREFIX.test(word.toLowerCase())
}

/** For keys that several instances of a server have. */
export const INSTANCE_OPTION = {
  instance: {
    kind: 'text',
    value: 'NAME',
    summary: "Of this instance of a server alone: '' is the one without a name.",
  },
} as const

/**
 * The one key that begins so, among the results that are kept, by the tools' own keys too, and the runs that are recorded.
 * Throws `usage` where the word is no beginning of a key or of several, and `store.no-entry` where there is none.
 */
export async function findKey(
  word: string,
  from: { catalog: Catalog; ledger: Ledger },
  instance?: string,
): Promise<FoundKey> {
  const kept = await keptUnder(word, from.catalog, instance)
  if (kept.length === 0 && !looksLikeKey(word)) {
    throw new CacheError('usage', `"${word}" is not a key, and no tool keeps anything under it.`, {
      hint: `A key is ${FEWEST_DIGITS} or more of its hexadecimal digits; recue ls lists them.`,
    })
  }
  const found = kept.length > 0 ? kept : recordedUnder(word.toLowerCase(), from.ledger)
  const [first] = found
  if (first === undefined) {
    throw new CacheError('store.no-entry', `No key begins with ${word}.`, { hint: 'recue ls lists what is kept.' })
  }
  if (found.length > 1) throw ambiguous(word, found)
  return first
}

async function keptUnder(word: string, catalog: Catalog, instance: string | undefined): Promise<FoundKey[]> {
  const [keys, toolKeys]: [FoundKey[], FoundKey[]] = [[], []]
  const prefix = looksLikeKey(word) ? word.toLowerCase() : undefined
  for await (const entry of catalog.list()) {
    if (instance !== undefined && entry.instance !== instance) continue
    const found = { key: entry.action, instance: entry.instance, entry }
    if (prefix !== undefined && entry.action.hash.startsWith(prefix)) keys.push(found)
    else if (isToolKey(entry, word)) toolKeys.push(found)
  }
  return keys.length > 0 ? keys : toolKeys
}

/** sccache and mise put folders before it. */
function isToolKey({ toolKey }: CatalogEntry, word: string): boolean {
  return toolKey !== undefined && (toolKey.key === word || toolKey.key.endsWith(`/${word}`))
}

function recordedUnder(prefix: string, ledger: Ledger): FoundKey[] {
  const found = new Map<string, FoundKey>()
  for (const { key, tool, root } of ledger.records({ newestFirst: true })) {
    if (!key?.hash.startsWith(prefix)) continue
    const instance = tool === '' ? '' : root
    found.set(key.hash, { key: asActionDigest(key as Digest), instance, entry: undefined })
  }
  return [...found.values()]
}

function ambiguous(word: string, found: readonly FoundKey[]): CacheError {
  const instances = new Set(found.map(({ instance }) => instance))
  if (instances.size === found.length) {
    const names = [...instances].slice(0, 4).map((name) => `--instance ${name === '' ? "''" : name}`)
    return new CacheError('usage', `${found.length} instances have results under ${word}.`, {
      hint: `Say of which: ${names.join(', ')}.`,
    })
  }
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
