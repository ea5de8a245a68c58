import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { makeStores, NAMES, readEverything, saveEverything } from '../../../test/crash/damaged-store.ts'
import { damages, inflict } from '../../../test/crash/damages.ts'
import { digestOf } from '../../digest/sha256.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { CORRUPT_CHANNEL, type Corruption } from './corrupt.ts'
import { openIndexDb } from './index-db.ts'
import { layoutOf, segmentPath } from './layout.ts'
import { openLocalStore } from './local-store.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'

const SMALL = Array.from({ length: 60 }, (_, i) => content(3000, i))
const LARGE = content(3_000_000, 99)

it.each([
  ['flipped bytes', (path: string) => flip(path, 0.5)],
  ['zeroes', (path: string) => writeFileSync(path, Buffer.alloc(readFileSync(path).length))],
  ['a cut', (path: string) => truncateSync(path, 1000)],
  ['its loss', (path: string) => rmSync(path)],
])(
  'after %s in a journal segment nothing wrong is read, it is told once, and one new write heals',
  async (_, damage) => {
    const dir = await filled()
    const told = listen()
    damage(segmentPath(layoutOf(dir), 1))
    {
      await using store = await openLocalStore({ dir })
      const found = await Promise.all(SMALL.map((bytes) => gives(store, bytes)))
      expect(found).not.toContain(false)
      expect(found).toContain(undefined)
    }
    expect(told.length).toBeGreaterThan(0)
    expect(new Set(told.map(({ where }) => where)).size).toBe(told.length)
    await using store = await openLocalStore({ dir })
    // All that was damaged is known by now, not only what was asked for first.
    const missing = await store.blobs.missing(scope, SMALL.map(digestOf))
    expect(missing.length).toBeGreaterThan(0)
    await Promise.all(SMALL.map((bytes) => keep(store, bytes)))
    for (const bytes of SMALL) expect(await gives(store, bytes)).toBe(true)
  },
)

it('one damaged blob found is the end of all damaged ones in that segment', async () => {
  const dir = await filled()
  rmSync(segmentPath(layoutOf(dir), 1))
  {
    await using store = await openLocalStore({ dir })
    expect(await gives(store, SMALL[0] as Buffer)).toBeUndefined()
  }
  await using store = await openLocalStore({ dir })
  expect(await store.blobs.missing(scope, SMALL.map(digestOf))).toHaveLength(SMALL.length)
  expect(await store.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'incomplete' })
})

it.each([
  ['flipped bytes', (path: string) => flip(path, 0.9)],
  ['a cut', (path: string) => truncateSync(path, 1_000)],
  ['its loss', (path: string) => rmSync(path)],
])('a large blob with %s is a miss or ends with store.corrupt, never wrong, and is moved aside', async (_, damage) => {
  const dir = await filled()
  damage(largeFile(dir))
  {
    await using store = await openLocalStore({ dir })
    expect(await gives(store, LARGE)).toBeUndefined()
  }
  await using store = await openLocalStore({ dir })
  expect(await store.blobs.missing(scope, [digestOf(LARGE)])).toHaveLength(1)
  await keep(store, LARGE)
  expect(await gives(store, LARGE)).toBe(true)
})

it('any changed byte in the values of the index is a miss, never another answer', async () => {
  const dir = await filled()
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await index.write(() => {
    for (const [table, column] of [
      ['blobs', 'place'],
      ['actions', 'value'],
      ['records', 'value'],
    ])
      index
        .sql(`UPDATE ${table} SET ${column}=CAST(substr(${column}, 1, 20) || x'5a' || substr(${column}, 22) AS BLOB)`)
        .run()
  })
  index[Symbol.dispose]()
  const told = listen()
  {
    await using store = await openLocalStore({ dir })
    expect(await store.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'corrupt' })
    expect(store.records.load('inputs', 'a')).toBeUndefined()
    for (const bytes of [...SMALL, LARGE]) expect(await gives(store, bytes)).toBeUndefined()
    await keep(store, SMALL[0] as Buffer)
    expect(await gives(store, SMALL[0] as Buffer)).toBe(true)
  }
  expect(told.length).toBeGreaterThan(0)
})

it('an index damaged anywhere gives no wrong answer and no exception, and is whole again after the next opening', async () => {
  const dir = await filled()
  const path = layoutOf(dir).index
  const good = readFileSync(path)
  for (let at = 100; at < good.length; at += Math.floor(good.length / 25)) {
    const bad = Buffer.from(good)
    bad.fill(0xa5, at, at + 700)
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true })
    writeFileSync(path, bad)
    for (let opening = 0; opening < 2; opening++) {
      await using store = await openLocalStore({ dir })
      for (const bytes of [...SMALL.slice(0, 5), LARGE]) expect(await gives(store, bytes)).not.toBe(false)
      expect(['hit', 'miss']).toContain((await store.actions.get(scope, action('a'))).kind)
      await store.blobs.missing(scope, SMALL.map(digestOf))
      store.records.load('inputs', 'a')
    }
  }
})

it('a wrong note of where a segment ends costs nothing when a writer takes it over', async () => {
  const dir = await filled()
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await index.write(() => index.sql('UPDATE segments SET indexed=40').run())
  index[Symbol.dispose]()
  const before = readFileSync(segmentPath(layoutOf(dir), 1))
  {
    await using store = await openLocalStore({ dir })
    await keep(store, content(2000, 1234))
  }
  const after = readFileSync(segmentPath(layoutOf(dir), 1))
  expect(after.length).toBeGreaterThan(before.length)
  expect(after.subarray(0, before.length).equals(before)).toBe(true)
  await using store = await openLocalStore({ dir })
  for (const bytes of [...SMALL, LARGE]) expect(await gives(store, bytes)).toBe(true)
})

it('any damage of any file: never wrong bytes, never an exception, and all can be kept again', async () => {
  using stores = await makeStores()
  const property = fc.asyncProperty(damages('any'), fc.boolean(), async (damage, wasKilled) => {
    const copy = stores.copy(wasKilled ? stores.killed : stores.closed)
    inflict(copy, damage, { olderDir: stores.older })
    if ((await readEverything(copy)) === undefined) return
    await saveEverything(copy)
    await saveEverything(copy)
    expect(await readEverything(copy)).toEqual(NAMES)
  })
  // Many more of them in test/crash.
  await fc.assert(property, { numRuns: 10 })
})

async function filled(): Promise<string> {
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir })
  const digests = await Promise.all([...SMALL, LARGE].map((bytes) => keep(store, bytes)))
  await store.actions.put(scope, action('a'), result(digests))
  await store.records.save('inputs', 'a', content(300, 5))
  return dir
}

function listen(): Corruption[] {
  const told: Corruption[] = []
  const listener = (corruption: unknown) => void told.push(corruption as Corruption)
  subscribe(CORRUPT_CHANNEL, listener)
  onTestFinished(() => void unsubscribe(CORRUPT_CHANNEL, listener))
  return told
}

function largeFile(dir: string): string {
  const { blobs } = layoutOf(dir)
  const name = readdirSync(blobs, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.includes(digestOf(LARGE).hash),
  )
  return join(blobs, String(name))
}

function flip(path: string, where: number): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length * where)
  for (let i = at; i < at + 100; i++) bytes[i] = (bytes[i] as number) ^ 0xff
  writeFileSync(path, bytes)
}
