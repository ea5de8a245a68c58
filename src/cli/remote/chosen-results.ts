import { type ActionDigest, asActionDigest, type Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import type { CatalogEntry } from '../../store/contracts.ts'
import type { Session } from '../command.ts'
import { entriesOf, originsOf } from '../kept-result.ts'
import { namedKey } from '../named-key.ts'

/** What is kept here of this project, or all of it, largest number first that a remote has one name for. */
export async function keptHere({ cache, place }: Session, which: 'project' | 'all'): Promise<CatalogEntry[]> {
  const originOf = originsOf(cache)
  const entries = (await entriesOf(cache)).filter(({ instance }) => instance === '')
  return which === 'all' ? entries : entries.filter((entry) => originOf(entry)?.root === place.root)
}

/** What was made or replayed in this project, newest first, whether it is kept here or not. */
export function ranHere({ cache, place }: Session): ActionDigest[] {
  const keys = new Map<string, ActionDigest>()
  for (const { key, root, status, tool } of cache.ledger.records({ newestFirst: true })) {
    const isResult = status === 'hit' || status === 'miss'
    if (key !== undefined && isResult && tool === '' && root === place.root)
      keys.set(key.hash, asActionDigest(key as Digest))
  }
  return [...keys.values()]
}

/** The last runs of tasks here, keys by their beginning, and whole keys as `HASH/SIZE`. Throws `usage` and `store.no-entry`. */
export async function namedResults(words: readonly string[], session: Session): Promise<ActionDigest[]> {
  const keys = new Map<string, ActionDigest>()
  for (const word of words) {
    const key = wholeKey(word) ?? (await keyOfOurs(word, session))
    keys.set(key.hash, key)
  }
  return [...keys.values()]
}

/** REAPI's own way to write a digest. */
function wholeKey(word: string): ActionDigest | undefined {
  const [, hash, size] = /^([0-9a-f]{64})\/(\d{1,15})$/.exec(word) ?? []
  return hash === undefined ? undefined : asActionDigest({ hash, sizeBytes: Number(size) })
}

async function keyOfOurs(word: string, session: Session): Promise<ActionDigest> {
  const { key, instance } = await namedKey(word, session)
  if (instance === '') return key
  throw new CacheError('usage', `${word} is a result of the instance ${instance} of a server.`, {
    hint: 'Only results of recue run are sent and fetched.',
  })
}
