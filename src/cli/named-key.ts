import { type ActionDigest, asActionDigest, type Digest } from '../digest/digest.ts'
import { CacheError } from '../errors.ts'
import type { Session } from './command.ts'
import { findKey, looksLikeKey } from './key-lookup.ts'

/** The key that begins so, or that of the last run of a task here. Throws `usage` and `store.no-entry`. */
export async function namedKey(word: string, { cache, place }: Session): Promise<ActionDigest> {
  for (const { key, label, root } of cache.ledger.records({ newestFirst: true }))
    if (key !== undefined && label === word && root === place.root) return asActionDigest(key as Digest)
  if (looksLikeKey(word)) return (await findKey(word, cache)).key
  throw new CacheError('store.no-entry', `No task ${word} was run here, and no key begins so.`, {
    hint: 'recue ls lists what is kept.',
  })
}
