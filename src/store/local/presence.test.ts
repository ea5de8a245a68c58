import { expect, it, onTestFinished } from 'vitest'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { openIndexDb } from './index-db.ts'
import { layoutOf } from './layout.ts'
import { openLocalStore } from './local-store.ts'
import { blobKey } from './rows.ts'
import { keep, temporaryFolder } from './temporary-store.fixture.ts'

it('what another process took away since this one wrote it is not taken for granted', async () => {
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir })
  const [kept, taken] = [await keep(store, content(1000, 1)), await keep(store, content(1000, 2))]
  await store.actions.put(scope, action('before'), result([kept, taken]))
  await takeAway(dir, taken.hash)
  await expect(store.actions.put(scope, action('after'), result([taken]))).rejects.toMatchObject({
    code: 'store.incomplete',
    context: { hash: taken.hash },
  })
  expect(await store.actions.get(scope, action('after'))).toEqual({ kind: 'miss', why: 'absent' })
  expect(await store.actions.get(scope, action('before'))).toEqual({ kind: 'miss', why: 'incomplete' })
  expect(await store.blobs.missing(scope, [kept, taken])).toEqual([taken])
  await keep(store, content(1000, 2))
  expect(await store.actions.put(scope, action('after'), result([taken]))).toBe('new')
  expect(await store.actions.get(scope, action('before'))).toMatchObject({ kind: 'hit' })
})

it('a result older than the time to live is expired', async () => {
  const dir = temporaryFolder(onTestFinished)
  let now = Date.now()
  await using store = await openLocalStore({ dir, ttlMs: 1000, now: () => now })
  await store.actions.put(scope, action('a'), result([]))
  now += 1000
  expect(await store.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
  now += 1
  expect(await store.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'expired' })
})

/** As the collector of another process does. */
async function takeAway(dir: string, hash: string): Promise<void> {
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await index.write(() => {
    index.sql('DELETE FROM blobs WHERE hash=?').run(blobKey(hash))
    index.raiseGeneration()
  })
  index[Symbol.dispose]()
}
