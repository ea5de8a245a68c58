import { expect, onTestFinished, test } from 'vitest'
import { asActionDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../contracts.ts'
import { openLocalStore } from './local-store.ts'
import { temporaryFolder } from './temporary-store.fixture.ts'

const action = asActionDigest(digestOf(Buffer.from('action')))

test('a hit that is read twice was decoded once', async () => {
  await using store = await openLocalStore({ dir: temporaryFolder(onTestFinished) })
  const result = { ...ActionResult.decode(new Uint8Array(0)), exitCode: 3 }
  await store.actions.put(DEFAULT_SCOPE, action, result)
  const found = await store.actions.get(DEFAULT_SCOPE, action)
  if (found.kind !== 'hit') throw new Error(found.kind)
  expect(found.result).toEqual(result)
  expect(found.result).toBe(found.result)
})

test('a result is used as long as its time to live says, from when it was put', async () => {
  let nowMs = 1_000_000
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir, ttlMs: 1000, now: () => nowMs })
  await store.actions.put(DEFAULT_SCOPE, action, ActionResult.decode(new Uint8Array(0)))
  nowMs += 1000
  expect(await store.actions.get(DEFAULT_SCOPE, action)).toMatchObject({ kind: 'hit' })
  nowMs += 1
  expect(await store.actions.get(DEFAULT_SCOPE, action)).toEqual({ kind: 'miss', why: 'expired' })
})
