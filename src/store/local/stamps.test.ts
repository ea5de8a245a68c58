import { rmSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { type IndexDb, openIndexDb } from './index-db.ts'
import { openJournal } from './journal.ts'
import { layoutOf } from './layout.ts'
import { fileLeases } from './leases.ts'
import { openLocalStore } from './local-store.ts'
import { blobKey } from './rows.ts'
import { highestStamp, raiseStamp, stampAfter } from './stamps.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'

const DAY = 86_400_000

function loseIndex(dir: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${layoutOf(dir).index}${suffix}`, { force: true })
}

function indexOf(dir: string): IndexDb {
  return openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
}

async function exitCodeIn(dir: string): Promise<number | string> {
  await using store = await openLocalStore({ dir })
  const found = await store.actions.get(scope, action('a'))
  return found.kind === 'hit' ? found.result.exitCode : found.why
}

const ending = (exitCode: number): ActionResult => ({ ...result([]), exitCode })

it('a clock that is set back changes nothing of what comes after what, also in a rebuild', async () => {
  const dir = temporaryFolder(onTestFinished)
  const bytes = content(5000, 1)
  {
    await using store = await openLocalStore({ dir })
    await keep(store, bytes)
    await store.actions.put(scope, action('a'), ending(1))
    await store.actions.put(scope, action('b'), ending(1))
    await store.actions.remove(scope, action('a'))
    await store.catalog.collect()
  }
  const early = Date.now() - DAY
  {
    // Another segment, whose records a rebuild would otherwise put before.
    await using _ = await openLocalStore({ dir })
    await using store = await openLocalStore({ dir, now: () => early })
    await store.actions.put(scope, action('a'), ending(2))
    await store.actions.put(scope, action('b'), ending(2))
    await store.actions.remove(scope, action('b'))
  }
  expect(await exitCodeIn(dir)).toBe(2)
  loseIndex(dir)
  expect(await exitCodeIn(dir)).toBe(2)
  {
    await using store = await openLocalStore({ dir, now: () => early })
    expect(await store.actions.get(scope, action('b'))).toEqual({ kind: 'miss', why: 'absent' })
    // The rebuilt index knows the highest stamp, too.
    await store.actions.put(scope, action('a'), ending(3))
    expect(await gives(store, bytes)).toBe(true)
  }
  loseIndex(dir)
  expect(await exitCodeIn(dir)).toBe(3)
})

it('what was put under a clock that is set back is as old as that clock says', async () => {
  const dir = temporaryFolder(onTestFinished)
  let now = Date.now()
  await using store = await openLocalStore({ dir, ttlMs: 1000, now: () => now })
  await store.actions.put(scope, action('first'), ending(0))
  now -= DAY
  await store.actions.put(scope, action('a'), ending(0))
  now += 1001
  expect(await store.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'expired' })
})

it('a put that is refused in its transaction leaves a rebuild what the index said', async () => {
  const dir = temporaryFolder(onTestFinished)
  const bytes = content(5000, 1)
  {
    await using store = await openLocalStore({ dir })
    const digest = await keep(store, bytes)
    await store.actions.put(scope, action('a'), ending(1))
    // Taken away between the look without a transaction and the one within.
    const index = indexOf(dir)
    const put = store.actions.put(scope, action('a'), { ...result([digest]), exitCode: 2 })
    await Promise.resolve()
    index.sql('BEGIN IMMEDIATE').run()
    index.sql('DELETE FROM blobs WHERE hash=?').run(blobKey(digest.hash))
    index.raiseGeneration()
    index.sql('COMMIT').run()
    index[Symbol.dispose]()
    await expect(put).rejects.toMatchObject({ code: 'store.incomplete' })
  }
  expect(await exitCodeIn(dir)).toBe(1)
  loseIndex(dir)
  expect(await exitCodeIn(dir)).toBe(1)
})

it.each(['fast', 'full'] as const)('what was overtaken comes later in a rebuild, too (%s)', async (durability) => {
  const dir = temporaryFolder(onTestFinished)
  {
    await using store = await openLocalStore({ dir, durability })
    using index = indexOf(dir)
    const appended = Promise.withResolvers<void>()
    const overtaken = Promise.withResolvers<void>()
    const held = heldIndex(index, async () => {
      appended.resolve()
      await overtaken.promise
    })
    const leases = fileLeases(layoutOf(dir).locks)
    await using journal = openJournal({ layout: layoutOf(dir), index: held, leases, durability, now: () => 1 })
    const record = { kind: 'action-removed', instance: '', action: action('a') } as const
    const removed = journal.commit([record], () => index.sql('DELETE FROM actions').run())
    await appended.promise
    await store.actions.put(scope, action('a'), ending(1))
    overtaken.resolve()
    await removed
  }
  expect(await exitCodeIn(dir)).toBe('absent')
  loseIndex(dir)
  expect(await exitCodeIn(dir)).toBe('absent')
})

/** Whose transactions wait until they may begin. */
function heldIndex(index: IndexDb, until: () => Promise<void>): IndexDb {
  return {
    sql: (text) => index.sql(text),
    read: (work) => index.read(work),
    lookUp: (work, otherwise) => index.lookUp(work, otherwise),
    isDamaged: false,
    generation: () => index.generation(),
    raiseGeneration: () => index.raiseGeneration(),
    version: () => index.version(),
    [Symbol.dispose]: () => undefined,
    async write(work, signal) {
      await until()
      return index.write(work, signal)
    },
  }
}

it('a stamp that does not check out is none, and the next is above the highest', async () => {
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir })
  await store.actions.put(scope, action('a'), ending(0))
  const index = indexOf(dir)
  onTestFinished(() => index[Symbol.dispose]())
  const highest = highestStamp(index)
  expect(highest).toBeGreaterThan(Date.now() - 60_000)
  expect(stampAfter(highest, 0)).toBeGreaterThan(highest)
  expect(stampAfter(highest, highest + 5)).toBe(highest + 5)
  await index.write(() => raiseStamp(index, 77))
  expect(highestStamp(index)).toBe(77)
  const kept = Buffer.from(index.sql('SELECT stamp FROM state WHERE id=1').get()?.[0] as Uint8Array)
  for (let at = 0; at < kept.length; at++) {
    const flipped = Buffer.from(kept)
    flipped[at] = (flipped[at] as number) ^ 4
    await index.write(() => index.sql('UPDATE state SET stamp=? WHERE id=1').run(flipped))
    expect(highestStamp(index)).toBe(0)
  }
})
