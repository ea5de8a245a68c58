import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Cache, openCache } from '../../cache.ts'
import { asActionDigest } from '../../digest/digest.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Session } from '../command.ts'
import { keptHere, namedResults, ranHere } from './chosen-results.ts'

const EMPTY = ActionResult.decode(new Uint8Array())

let folder: string
let cache: Cache
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recue-chosen-'))
  cache = await openCache({ cacheDir: join(folder, 'cache') })
})
afterEach(async () => {
  await cache.close()
  rmSync(folder, { recursive: true, force: true })
})

function sessionIn(root: string): Session {
  return { cache, place: { root, workingDirectory: '', configFile: undefined } } as Session
}

/** As a run writes it down; what is kept under the key is as small as can be. */
async function ran(digit: string, run: { root: string; label?: string; status?: 'miss' | 'hit' | 'uncached' }) {
  const key = asActionDigest({ hash: digit.repeat(64), sizeBytes: 7 })
  const { root, label = digit, status = 'miss' } = run
  if (status !== 'uncached') await cache.save(key, EMPTY)
  const about = { thing: label, label, root, startedMs: Date.now(), status, key, exitCode: 0, durationMs: 1 } as never
  cache.ledger.append(
    Object.assign({ savedMs: 0, ownUs: 0, reason: '', source: '', bytes: 0, tool: '', count: 0 }, about),
  )
  return key
}

test('of this project, of all, and what ran here without being kept any more', async () => {
  const here = await ran('a', { root: '/here' })
  const gone = await ran('b', { root: '/here', status: 'hit' })
  await cache.actions.remove({ instance: '' }, gone)
  const there = await ran('c', { root: '/there' })
  await ran('d', { root: '/here', status: 'uncached' })
  await ran('a', { root: '/here', status: 'hit' })
  await cache.actions.put({ instance: 'tenant' }, asActionDigest({ hash: 'e'.repeat(64), sizeBytes: 1 }), EMPTY)
  const keys = async (which: 'project' | 'all') =>
    (await keptHere(sessionIn('/here'), which)).map(({ action }) => action.hash).sort()
  expect(await keys('project')).toEqual([here.hash])
  expect(await keys('all')).toEqual([here.hash, there.hash])
  expect(ranHere(sessionIn('/here')).map(({ hash }) => hash)).toEqual([here.hash, gone.hash])
})

test('by task, by the beginning of a key, and whole with its size', async () => {
  const build = await ran('a', { root: '/here', label: 'build' })
  const other = await ran('b', { root: '/there', label: 'lint' })
  const session = sessionIn('/here')
  expect(await namedResults(['build', 'aaaaaa', 'bbbbbbbb'], session)).toMatchObject([build, other])
  expect(await namedResults([`${'f'.repeat(64)}/12`], session)).toEqual([{ hash: 'f'.repeat(64), sizeBytes: 12 }])
  await expect(namedResults(['lint'], session)).rejects.toMatchObject({ code: 'store.no-entry' })
  await expect(namedResults([`${'f'.repeat(63)}/12`], session)).rejects.toMatchObject({ code: 'store.no-entry' })
})

test('what another client keeps in an instance is not sent', async () => {
  await cache.actions.put({ instance: 'tenant' }, asActionDigest({ hash: 'e'.repeat(64), sizeBytes: 1 }), EMPTY)
  await expect(namedResults(['eeeeee'], sessionIn('/here'))).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('tenant'),
  })
})
