import { appendFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { crc32c } from '../../digest/crc32c.ts'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { blobPath, layoutOf, segmentPath, stagingPath } from './layout.ts'
import { openLocalStore } from './local-store.ts'
import { encodeRecord, type SegmentRecord } from './segment.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'

/** A number that no writer has taken, so that nobody but the test appends to it. */
const DEAD = 7
let dir: string

beforeEach(() => {
  dir = temporaryFolder(onTestFinished)
})

/** What a writer has appended and died before it was in the index. */
function appended(...records: SegmentRecord[]): void {
  mkdirSync(layoutOf(dir).journal, { recursive: true })
  for (const record of records) appendFileSync(segmentPath(layoutOf(dir), DEAD), Buffer.concat(encodeRecord(record)))
}

/** The first save of a process is when dead writers are seen to. */
async function recover(): Promise<void> {
  await using store = await openLocalStore({ dir })
  await keep(store, content(20, 99))
}

/** The record of a raw file, and its staging file. */
function staged(bytes: Buffer, stampMs = Date.now()): SegmentRecord & { kind: 'file' } {
  mkdirSync(layoutOf(dir).tmp, { recursive: true })
  writeFileSync(stagingPath(layoutOf(dir), DEAD, 1), bytes)
  const chunks = [{ storedBytes: bytes.length, crc: crc32c(bytes) }]
  const digest = digestOf(bytes)
  return { kind: 'file', stampMs, codec: 'raw', checksum: 'crc32c', digest, chunkBytes: 1 << 20, staging: 1, chunks }
}

it('a large blob is put into place whose writer died before it made the folder', async () => {
  await using store = await openLocalStore({ dir })
  const bytes = content(5000, 1)
  appended(staged(bytes))
  await recover()
  expect(await gives(store, bytes)).toBe(true)
  expect(readdirSync(layoutOf(dir).tmp)).toEqual([])
})

it.each([1_500_000, 1_400_000])('a large blob stays as another writer kept it since (%i)', async (length) => {
  const bytes = content(1_500_000, 1)
  await using store = await openLocalStore({ dir, compression: 'off' })
  await keep(store, bytes)
  // Announced under the same name, in another encoding.
  const other = staged(content(length, 2))
  appended({ ...other, digest: digestOf(bytes) })
  await recover()
  expect(await gives(store, bytes)).toBe(true)
  expect(readdirSync(layoutOf(dir).tmp)).toEqual([])
})

it('a segment whose recovery failed can be taken when the fault is gone', async () => {
  await using store = await openLocalStore({ dir })
  const bytes = content(5000, 1)
  appended(staged(bytes))
  // Where the folder should be is a file.
  const shard = blobPath(layoutOf(dir), digestOf(bytes).hash, 'raw').slice(0, -65)
  writeFileSync(shard, '')
  await expect(recover()).rejects.toThrow()
  rmSync(shard)
  await recover()
  expect(await gives(store, bytes)).toBe(true)
})

const removed = (stampMs: number, digest: Digest): SegmentRecord[] => [
  { kind: 'action-removed', stampMs, instance: '', action: action('a') },
  { kind: 'blobs-removed', stampMs, hashes: [digest.hash] },
]

it.each([
  ['before', -60_000, true],
  ['after', 60_000, false],
])('what a dead writer removed %s another put it is so afterwards', async (_when, ageMs, isThere) => {
  await using store = await openLocalStore({ dir })
  const bytes = content(5000, 1)
  const digest = await keep(store, bytes)
  await store.actions.put(scope, action('a'), result([digest]))
  appended(...removed(Date.now() + ageMs, digest))
  await recover()
  expect((await store.actions.get(scope, action('a'))).kind).toBe(isThere ? 'hit' : 'miss')
  expect(await gives(store, bytes)).toBe(isThere ? true : undefined)
})

it.each([-60_000, 60_000])(
  'what a dead writer put %i ms from a removal is in a rebuild as in the index',
  async (ageMs) => {
    {
      await using store = await openLocalStore({ dir })
      await store.actions.put(scope, action('a'), result([]))
      await store.actions.remove(scope, action('a'))
    }
    const bytes = ActionResult.encode({ ...result([]), exitCode: 7 }).finish()
    appended({ kind: 'action', stampMs: Date.now() + ageMs, instance: '', action: action('a'), result: bytes })
    await recover()
    await expectExitCode(7)
    rmSync(layoutOf(dir).index)
    await expectExitCode(7)
    {
      await using store = await openLocalStore({ dir })
      await store.actions.put(scope, action('a'), result([]))
    }
    rmSync(layoutOf(dir).index)
    await expectExitCode(0)
  },
)

async function expectExitCode(exitCode: number): Promise<void> {
  await using store = await openLocalStore({ dir })
  expect(await store.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit', result: { exitCode } })
}
