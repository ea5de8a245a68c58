import { chmodSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { hearCorruption } from './corrupt.ts'
import { openIndexDb } from './index-db.ts'
import { layoutOf, segmentPath } from './layout.ts'
import { openLocalStore } from './local-store.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'

const CONTENTS = [content(100, 1), content(40_000, 2), content(3_000_000, 3)]

it.each([
  ['gone', (path: string) => rmSync(path)],
  ['empty', (path: string) => truncateSync(path)],
  ['other bytes', (path: string) => writeFileSync(path, content(100_000, 9))],
  ['cut', (path: string) => truncateSync(path, 10_000)],
])('an index that is %s is built anew from the journal', async (_, damage) => {
  const dir = await filled()
  damage(layoutOf(dir).index)
  await expectAll(dir)
  await expectAll(dir)
})

it('an index of an older version is built anew without a word of damage', async () => {
  const dir = await filled()
  {
    using index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
    index.sql('PRAGMA user_version=1').all()
  }
  const heard: unknown[] = []
  using _hearing = hearCorruption((report) => heard.push(report))
  await expectAll(dir)
  expect(heard).toEqual([])
})

it('many at once wait for the one that builds it', async () => {
  const dir = await filled()
  rmSync(layoutOf(dir).index)
  await Promise.all(Array.from({ length: 5 }, () => expectAll(dir)))
})

it('after a restart of the machine what the power cut took is missing, and the rest is there', async () => {
  const dir = await filled()
  await forgetBoot(dir)
  await expectAll(dir)
  {
    await using store = await openLocalStore({ dir })
    await keep(store, content(50_000, 10))
  }
  const path = segmentPath(layoutOf(dir), 1)
  const bytes = readFileSync(path)
  bytes.fill(0, statSync(path).size - 20_000)
  writeFileSync(path, bytes)
  await forgetBoot(dir)
  await expectAll(dir)
  await using store = await openLocalStore({ dir })
  const lost = content(50_000, 10)
  expect(await gives(store, lost)).toBeUndefined()
  await keep(store, lost)
  expect(await gives(store, lost)).toBe(true)
})

it('an index that has lost its counters is built anew', async () => {
  const dir = await filled()
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await index.write(() => index.sql('DELETE FROM state').run())
  index[Symbol.dispose]()
  await expectAll(dir)
  using again = openIndexDb(layoutOf(dir).index, { readOnly: true, durability: 'fast' })
  expect(again.generation()).toBe(1)
})

it('opened for reading, nothing in the folder changes, with or without an index', async () => {
  const dir = await filled()
  const before = listing(dir)
  for (const prepare of [() => undefined, () => rmSync(layoutOf(dir).index)]) {
    prepare()
    await using store = await openLocalStore({ dir, readOnly: true })
    expect(await store.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
    for (const bytes of CONTENTS) expect(await gives(store, bytes)).toBe(true)
    const refused = { code: 'store.read-only' }
    // Known to be absent, it is not written either.
    expect(await store.blobs.missing(scope, [digestOf(content(10, 99))])).toHaveLength(1)
    await expect(keep(store, content(10, 99))).rejects.toMatchObject(refused)
    await expect(store.actions.put(scope, action('b'), result([]))).rejects.toMatchObject(refused)
    await expect(store.records.save('inputs', 'x', content(1, 1))).rejects.toMatchObject(refused)
  }
  expect(listing(dir)).toEqual(before.filter((name) => name !== 'index.db'))
})

it('a folder without write permission can be read', async () => {
  const dir = await filled()
  chmodSync(dir, 0o500)
  onTestFinished(() => chmodSync(dir, 0o700))
  await using store = await openLocalStore({ dir, readOnly: true })
  for (const bytes of CONTENTS) expect(await gives(store, bytes)).toBe(true)
})

it('a newer index is refused', async () => {
  const dir = await filled()
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  index.sql('PRAGMA user_version=99').all()
  index[Symbol.dispose]()
  await expect(openLocalStore({ dir })).rejects.toMatchObject({ code: 'store.newer-format' })
})

async function filled(): Promise<string> {
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir })
  const digests = await Promise.all(CONTENTS.map((bytes) => keep(store, bytes)))
  await store.actions.put(scope, action('a'), result(digests))
  await store.actions.put(scope, action('removed'), result([]))
  await store.actions.remove(scope, action('removed'))
  return dir
}

async function expectAll(dir: string): Promise<void> {
  await using store = await openLocalStore({ dir })
  for (const bytes of CONTENTS) expect(await gives(store, bytes)).toBe(true)
  expect(await store.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
  expect(await store.actions.get(scope, action('removed'))).toEqual({ kind: 'miss', why: 'absent' })
}

async function forgetBoot(dir: string): Promise<void> {
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await index.write(() => index.sql("UPDATE state SET boot='another'").run())
  index[Symbol.dispose]()
}

function listing(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()
}
