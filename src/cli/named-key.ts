import { type ActionDigest, asActionDigest, type Digest } from '../digest/digest.ts'
import { CacheError } from '../errors.ts'
import type { Session } from './command.ts'
import { findKey, looksLikeKey } from './key-lookup.ts'

export interface NamedKey {
  readonly key: ActionDigest
  readonly instance: string
}

/** The key that begins so, or that of the last run of a task here. Throws `usage` and `store.no-entry`. */
export async function namedKey(word: string, { cache, place }: Session, instance?: string): Promise<NamedKey> {
  for (const { key, label, root } of cache.ledger.records({ newestFirst: true }))
    if (key !== undefined && label === word && root === place.root)
      return { key: asActionDigest(key as Digest), instance: '' }
  if (looksLikeKey(word) || instance !== undefined) return findKey(word, cache, instance)
  throw new CacheError('store.no-entry', `No task ${word} was run here, and no key begins so.`, {
    hint: 'recue ls lists what is kept.',
  })
}
