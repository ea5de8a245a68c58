import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../digest/sha256.ts'
import { openLedger } from '../observe/ledger.ts'
import { RunRecord } from '../proto/recue/v1/recue.ts'
import { action, result } from '../store/action-store.contract.ts'
import { content } from '../store/content.fixture.ts'
import { DEFAULT_SCOPE } from '../store/contracts.ts'
import { openIndexDb } from '../store/local/index-db.ts'
import { layoutOf, segmentPath } from '../store/local/layout.ts'
import { openLocalStore } from '../store/local/local-store.ts'
import { gives, keep, temporaryFolder } from '../store/local/temporary-store.fixture.ts'
import { isWell } from './fault.ts'
import { inspectStore } from './inspect.ts'
import { change, fill, forge, hits, LARGE, largeFile, MIDDLE, SMALL } from './operate.fixture.ts'
import { repairStore } from './repair.ts'

async function filled(): Promise<string> {
  const dir = temporaryFolder(onTestFinished)
  await fill(dir)
  return dir
}

const kindsOf = (report: { faults: readonly { kind: string }[] }) => [...new Set(report.faults.map(({ kind }) => kind))]

it('says which results are lost, by the names of their runs, and which blobs', async () => {
  const dir = await filled()
  const run = { ...RunRecord.decode(new Uint8Array(0)), key: action('a'), label: 'bundle' }
  openLedger(dir).append(run)
  change(largeFile(dir), 1_000, 10)
  const { found, left } = await repairStore(dir)
  expect(kindsOf(found)).toEqual(['blob-file'])
  expect(found.lost.results).toMatchObject([{ action: action('a'), instance: '', label: 'bundle' }])
  expect(found.lost.blobs).toEqual([digestOf(LARGE)])
  expect(left && isWell(left)).toBe(true)
  expect(await hits(dir)).toEqual(['b', 'c'])
  expect(readdirSync(layoutOf(dir).damaged)).toHaveLength(1)
})

it('a dry run and an inspection change nothing', async () => {
  const dir = await filled()
  change(segmentPath(layoutOf(dir), 1), 500, 2_000)
  const before = listing(dir)
  const { found, left } = await repairStore(dir, { dryRun: true })
  expect([left, isWell(found)]).toEqual([undefined, false])
  expect(isWell(await inspectStore(dir))).toBe(false)
  expect(listing(dir)).toEqual(before)
})

it('content that is not what it is called is found though its checksums are right, and stays away', async () => {
  const dir = await filled()
  forge(dir)
  const { found, left } = await repairStore(dir)
  expect(kindsOf(found)).toEqual(['content'])
  expect(found.lost.blobs).toEqual([digestOf(MIDDLE)])
  expect(left && isWell(left)).toBe(true)
  rmSync(layoutOf(dir).index)
  expect(await hits(dir)).toEqual(['b'])
  await using store = await openLocalStore({ dir })
  expect(await gives(store, MIDDLE)).toBeUndefined()
  await keep(store, MIDDLE)
  expect(await gives(store, MIDDLE)).toBe(true)
})

it('what only rows of the index hold is written to the journal again', async () => {
  const dir = await filled()
  const path = segmentPath(layoutOf(dir), 1)
  writeFileSync(path, Buffer.alloc(readFileSync(path).length))
  const { found, left } = await repairStore(dir)
  expect(kindsOf(found)).toEqual(['journal', 'row', 'orphan'])
  // The small blob is in its row, the large one is read by its file's name; the middle one was in the journal alone.
  expect(found.lost.blobs).toEqual([digestOf(MIDDLE)])
  expect(left && isWell(left)).toBe(true)
  rmSync(layoutOf(dir).index)
  expect(await hits(dir)).toEqual(['b'])
  await using store = await openLocalStore({ dir })
  expect(await gives(store, SMALL)).toBe(true)
  expect(await gives(store, LARGE)).toBe(true)
})

it('a damaged index gives what can be read of it: an interrupted restore is still known', async () => {
  const dir = await filled()
  const { index: path } = layoutOf(dir)
  const index = openIndexDb(path, { readOnly: false, durability: 'fast' })
  const root = Number(index.sql("SELECT rootpage FROM sqlite_schema WHERE name='blobs'").get()?.[0])
  index[Symbol.dispose]()
  change(path, (root - 1) * 8192, 200)
  const { found, left } = await repairStore(dir)
  expect(kindsOf(found)).toEqual(['index'])
  expect(found.lost.results).toEqual([])
  expect(left && isWell(left)).toBe(true)
  expect(await hits(dir)).toEqual(['a', 'b', 'c'])
  await using store = await openLocalStore({ dir })
  expect(Buffer.from(store.records.load('restore', 'here') ?? []).toString()).toBe('half restored')
})

it('accounts, generation and reach that say something else are counted anew', async () => {
  const dir = await filled()
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await index.write(() => {
    index.sql('UPDATE state SET actions=77, generation=0').run()
    index.sql('UPDATE segments SET indexed=indexed+1').run()
  })
  index[Symbol.dispose]()
  const { found, left } = await repairStore(dir)
  expect(kindsOf(found)).toEqual(['reach', 'accounts'])
  expect(left && isWell(left)).toBe(true)
  expect(await hits(dir)).toEqual(['a', 'b', 'c'])
})

it('an index that knows less of the journal than it should loses nothing: a repair takes the rest in', async () => {
  const dir = await filled()
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  // In the middle of a record, as no writer leaves it.
  await index.write(() => index.sql('UPDATE segments SET indexed=50').run())
  index[Symbol.dispose]()
  expect((await repairStore(dir)).left).toMatchObject({ faults: [], unfinished: [] })
  expect(await hits(dir)).toEqual(['a', 'b', 'c'])
  await using store = await openLocalStore({ dir })
  expect(await gives(store, MIDDLE)).toBe(true)
})

it('FORMAT is written anew only where the journal says that the folder is ours; a newer one is left', async () => {
  const dir = await filled()
  const { format, tag, journal } = layoutOf(dir)
  rmSync(tag)
  writeFileSync(format, 'recue cache, formas 1\n')
  expect((await repairStore(dir)).left).toMatchObject({ faults: [] })
  expect(await hits(dir)).toEqual(['a', 'b', 'c'])
  for (const text of ['recue cache, format 99\n', 'of somebody else']) {
    if (text.startsWith('of')) for (const name of readdirSync(journal)) truncateSync(join(journal, name), 0)
    writeFileSync(format, text)
    const { found, left } = await repairStore(dir)
    expect([found.faults[0], left]).toMatchObject([{ kind: 'folder', isMendable: false }, undefined])
    expect(readFileSync(format, 'latin1')).toBe(text)
  }
})

it('damaged runs go aside, and the others stay', async () => {
  const dir = await filled()
  const ledger = openLedger(dir)
  for (const label of ['one', 'two', 'three'])
    ledger.append({ ...RunRecord.decode(new Uint8Array(0)), label, thing: label })
  const file = join(dir, 'ledger', 'runs-00000001.log')
  change(file, Math.floor(readFileSync(file).length / 2), 1)
  const { found, left } = await repairStore(dir)
  expect(kindsOf(found)).toEqual(['ledger'])
  expect(left && isWell(left)).toBe(true)
  expect([...openLedger(dir).records()].map(({ label }) => label)).toEqual(['one', 'three'])
})

it('a large blob with bytes behind its content keeps its content', async () => {
  const dir = await filled()
  writeFileSync(largeFile(dir), Buffer.concat([readFileSync(largeFile(dir)), Buffer.from('more')]))
  const { found, left } = await repairStore(dir)
  expect([kindsOf(found), found.lost]).toEqual([['blob-tail'], { results: [], blobs: [] }])
  expect(left && isWell(left)).toBe(true)
  expect(await hits(dir)).toEqual(['a', 'b', 'c'])
})

it('others write while it works, and lose nothing', async () => {
  const dir = await filled()
  change(segmentPath(layoutOf(dir), 1), 500, 2_000)
  await using store = await openLocalStore({ dir })
  const writing = (async () => {
    for (let i = 0; i < 40; i++) {
      const blob = await keep(store, content(3_000, 100 + i))
      await store.actions.put(DEFAULT_SCOPE, action(`w${i}`), result([blob]))
    }
  })()
  await Promise.all([writing, repairStore(dir)])
  for (let i = 0; i < 40; i++) {
    expect((await store.actions.get(DEFAULT_SCOPE, action(`w${i}`))).kind).toBe('hit')
    expect(await gives(store, content(3_000, 100 + i))).toBe(true)
  }
  expect(isWell(await inspectStore(dir))).toBe(true)
})

it('a folder that is not there, and one that is new, are well', async () => {
  const dir = temporaryFolder(onTestFinished)
  await (await openLocalStore({ dir }))[Symbol.asyncDispose]()
  expect(await repairStore(dir)).toMatchObject({ found: { faults: [], unfinished: [] }, left: undefined })
  expect(existsSync(layoutOf(dir).damaged)).toBe(false)
})

it.skipIf(process.platform !== 'linux')('leaves no file open, whatever it met', async () => {
  const dir = await filled()
  const { format, tag } = layoutOf(dir)
  rmSync(tag)
  writeFileSync(format, 'recue cache, format 99\n')
  change(segmentPath(layoutOf(dir), 1), 500, 2_000)
  await inspectStore(dir)
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    const path = `/proc/self/fd/${fd}`
    return existsSync(path) ? readlinkSync(path) : []
  })
  expect(open.filter((path) => path.startsWith(dir))).toEqual([])
})

function listing(dir: string): [string, string][] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith('locks') && !/-(wal|shm)$/.test(entry.name))
    .map((entry): [string, string] => {
      const path = join(entry.parentPath, entry.name)
      return [path, digestOf(readFileSync(path)).hash]
    })
    .sort()
}
