import { expect, it, onTestFinished } from 'vitest'
import { asActionDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../contracts.ts'
import { type LocalStore, openLocalStore } from './local-store.ts'
import { temporaryFolder } from './temporary-store.fixture.ts'

const action = asActionDigest(digestOf(Buffer.from('action')))
const HOUR_MS = 3_600_000

async function entryOf(store: LocalStore) {
  for await (const { accessedMs, hits } of store.catalog.list()) return { accessedMs, hits }
  return undefined
}

it.each([true, false])('what is looked up counts as used, or not: %s', async (countsUses) => {
  const dir = temporaryFolder(onTestFinished)
  let timeMs = Date.now()
  const open = (counts: boolean) => openLocalStore({ dir, countsUses: counts, now: () => timeMs })
  await using other = await open(true)
  await other.actions.put(DEFAULT_SCOPE, action, ActionResult.decode(Buffer.alloc(0)))
  const before = await entryOf(other)
  timeMs += 2 * HOUR_MS
  {
    await using store = await open(countsUses)
    expect((await store.actions.get(DEFAULT_SCOPE, action)).kind).toBe('hit')
  }
  expect(await entryOf(other)).toEqual(countsUses ? { accessedMs: timeMs, hits: 1 } : before)
})
