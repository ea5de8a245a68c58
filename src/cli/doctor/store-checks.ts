import { readdirSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import type { Digest } from '../../digest/digest.ts'
import { streamDigest } from '../../digest/sha256.ts'
import { isCacheError } from '../../errors.ts'
import { type BlobStore, DEFAULT_SCOPE } from '../../store/contracts.ts'
import { layoutOf, segmentOfName } from '../../store/local/layout.ts'
import { openToLook } from '../../store/local/open-index.ts'
import { scanSegment } from '../../store/local/salvage.ts'
import { namedBlobs } from '../../store/named-blobs.ts'
import { formatSize } from '../../units/size.ts'
import { entriesOf } from '../kept-result.ts'
import { type Check, type Finding, fail, ok, type Subject, warn } from './check.ts'

/** A quick look at what is kept, where not all of it is read: only where the store could be opened. */
export const CONTENT_CHECKS: readonly Check[] = [
  { name: 'index', find: index },
  { name: 'journal', find: journal },
  { name: 'results', find: results },
]

/** What else is in the folder: only where the store could be opened. */
export const STORE_CHECKS: readonly Check[] = [
  { name: 'ledger', find: ledger },
  { name: 'restores', find: restores },
]

function index({ dir }: Subject): Finding {
  using index = openToLook(layoutOf(dir))
  // The quick one leaves out whether indexes agree with their tables.
  return index.sql('PRAGMA quick_check(1)').get()?.[0] === 'ok' ? ok('whole') : fail('damaged', MEND)
}

async function journal({ dir, signal }: Subject): Promise<Finding> {
  const layout = layoutOf(dir)
  let [records, gaps, segments] = [0, 0, 0]
  for (const name of readdirSync(layout.journal)) {
    const segment = segmentOfName(name)
    if (segment === undefined) continue
    segments++
    for (const { afterGap } of scanSegment(`${layout.journal}/${name}`, segment)) {
      records++
      if (afterGap) gaps++
      if (records % 1_000 === 0) await turn(undefined, { signal })
    }
  }
  const what = `${records} records in ${segments} ${segments === 1 ? 'segment' : 'segments'}`
  if (gaps === 0) return ok(what)
  return warn(`${what}, ${gaps} of them behind damaged bytes`, MEND)
}

const MEND = 'Mend it: recue doctor --repair'

/** Enough to meet a disk that is going bad, few enough to take a second. */
const SAMPLED_RESULTS = 50
const SAMPLED_BYTES = 256e6

async function results({ session, signal }: Subject): Promise<Finding> {
  if (session === undefined) return ok('none')
  const { cache } = session
  const all = await entriesOf(cache)
  const sample = shuffled(all).slice(0, SAMPLED_RESULTS)
  const seen = new Map<string, boolean>()
  let [bytes, broken, checked] = [0, 0, 0]
  for (const { action, instance } of sample) {
    if (bytes > SAMPLED_BYTES) break
    const found = await cache.actions.get({ instance }, action, signal)
    const named =
      found.kind === 'hit' ? await namedBlobs(found.result, (digest) => wholeBlob(cache.blobs, digest)) : undefined
    let isWhole = named !== undefined
    for (const digest of named?.digests ?? []) {
      const known = seen.get(digest.hash)
      const isSound = known ?? (await isSoundBlob(cache.blobs, digest, signal))
      seen.set(digest.hash, isSound)
      if (known === undefined) bytes += digest.sizeBytes
      if (!isSound) isWhole = false
    }
    checked++
    if (!isWhole) broken++
  }
  return verdict({ total: all.length, checked, broken, blobs: seen.size, bytes })
}

function verdict(of: { total: number; checked: number; broken: number; blobs: number; bytes: number }): Finding {
  const read = `${of.blobs} blobs (${formatSize(of.bytes)}) read and hashed`
  if (of.broken > 0) {
    return fail(
      `${of.broken} of ${of.checked} results are damaged; ${read}`,
      'What made them will run anew. What is lost: recue doctor --verify',
    )
  }
  if (of.total === 0) return ok('none yet')
  return ok(
    of.checked === of.total ? `all ${of.total} whole, ${read}` : `${of.checked} of ${of.total} looked at, ${read}`,
  )
}

async function isSoundBlob(blobs: BlobStore, digest: Digest, signal: AbortSignal): Promise<boolean> {
  try {
    await using bytes = await blobs.read(DEFAULT_SCOPE, digest, { signal })
    if (bytes === undefined) return false
    const content = streamDigest()
    for await (const chunk of bytes) content.update(chunk)
    return content.digest().hash === digest.hash
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.corrupt') return false
    throw error
  }
}

async function wholeBlob(blobs: BlobStore, digest: Digest): Promise<Uint8Array | undefined> {
  for await (const { bytes } of blobs.readBatch(DEFAULT_SCOPE, [digest])) return bytes?.slice()
  return undefined
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

function ledger({ session, nowMs }: Subject): Finding {
  if (session === undefined) return ok('none')
  let runs = session.cache.ledger.rotatedTotals().runs
  let newestMs = 0
  for (const { startedMs } of session.cache.ledger.records()) {
    runs++
    newestMs = Math.max(newestMs, startedMs)
  }
  if (newestMs > nowMs + 60_000) {
    return warn(
      'the newest run is of a time to come',
      'The clock was set back: what is least recently used may be misjudged.',
    )
  }
  return ok(runs === 1 ? '1 run' : `${runs} runs`)
}

function restores({ session }: Subject): Finding {
  const names = session?.cache.records.names('restore', '') ?? []
  if (names.length === 0) return ok('none unfinished')
  const what = `${names.length} interrupted`
  return warn(what, 'The next recue run in that project finishes it.')
}
