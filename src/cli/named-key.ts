import { type ActionDigest, asActionDigest, type Digest } from '../digest/digest.ts'
import { CacheError } from '../errors.ts'
import type { Session } from './command.ts'
import { type FoundKey, findKey, looksLikeKey } from './key-lookup.ts'
import { lastRun } from './last-run.ts'

export type NamedKey = Pick<FoundKey, 'key' | 'instance'>

/** The key of the last run that is called so here, or the one that begins so. Throws `usage` and `store.no-entry`. */
export async function namedKey(word: string, session: Session, instance?: string): Promise<NamedKey> {
  const own = instance === undefined ? ownKey(word, session) : undefined
  if (own !== undefined) return { key: own, instance: '' }
  if (looksLikeKey(word) || instance !== undefined) return findKey(word, session.cache, instance)
  throw unknown(word)
}

/** The same, with what is kept under it; also by what a build tool calls it. */
export function namedEntry(word: string, session: Session, instance?: string): Promise<FoundKey> {
  const own = instance === undefined ? ownKey(word, session) : undefined
  if (own !== undefined) return findKey(own.hash, session.cache, '')
  if (word === 'last') throw unknown(word)
  return findKey(word, session.cache, instance)
}

function ownKey(word: string, session: Session): ActionDigest | undefined {
  const run = lastRun(word, session)
  if (run === undefined) return undefined
  if (run.key !== undefined) return asActionDigest(run.key as Digest)
  throw new CacheError('store.no-entry', `The last run of ${run.label} has no key: ${run.reason}.`, {
    hint: 'recue ls lists what is kept.',
  })
}

function unknown(word: string): CacheError {
  const what =
    word === 'last' ? 'Nothing was run in this project yet.' : `No task ${word} was run here, and no key begins so.`
  return new CacheError('store.no-entry', what, { hint: 'recue ls lists what is kept.' })
}
