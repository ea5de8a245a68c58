import { type Digest, sameDigest } from '../digest/digest.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import { type KeyChange, keyChanges } from './key-changes.ts'
import type { Ledger } from './ledger.ts'
import type { Messages } from './messages.ts'

/** Why a key is another one than that of the last run of the same thing. */
export type Why =
  /** The same thing ran before, with another key; `previous` is that run, the newest that can be compared. */
  | {
      readonly kind: 'changed'
      readonly previous: RunRecord
      readonly changes: readonly KeyChange[]
      readonly isCut: boolean
    }
  /** It ran before with this very key, in `previous`: nothing changed, but no result is there. */
  | { readonly kind: 'same-key'; readonly previous: RunRecord }
  /** The ledger knows no earlier run of this thing that had a key. */
  | { readonly kind: 'first' }
  /** It ran before with another key, but nothing of that is kept that could be compared: not stored, or evicted. */
  | { readonly kind: 'not-comparable'; readonly previous: RunRecord }

/** A command that failed five times since it last succeeded is compared with when it did. */
const MOST_ATTEMPTS = 5

/**
 * Compares the key `after` with the newest run of `thing` before `beforeMs` whose messages are still there: it may be an older
 * one, since runs that could not be kept left none, and those of others are collected in time. Reads the ledger from its end.
 */
export async function why(
  question: { readonly thing: string; readonly after: Digest; readonly beforeMs?: number },
  { ledger, messages }: { readonly ledger: Ledger; readonly messages: Messages },
): Promise<Why> {
  const { thing, after, beforeMs = Number.POSITIVE_INFINITY } = question
  let newest: RunRecord | undefined
  const tried = new Set<string>()
  for (const record of ledger.records({ newestFirst: true })) {
    if (record.thing !== thing || record.key === undefined || record.startedMs >= beforeMs) continue
    if (newest === undefined && sameDigest(record.key, after)) return { kind: 'same-key', previous: record }
    newest ??= record
    if (sameDigest(record.key, after) || tried.has(record.key.hash)) continue
    const comparison = await keyChanges(messages, record.key, after)
    if (comparison !== undefined) return { kind: 'changed', previous: record, ...comparison }
    if (tried.add(record.key.hash).size === MOST_ATTEMPTS) break
  }
  return newest === undefined ? { kind: 'first' } : { kind: 'not-comparable', previous: newest }
}
