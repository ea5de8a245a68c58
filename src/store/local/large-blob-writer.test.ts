import { copyFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { readWhole } from '../read-whole.ts'
import { compressionOf } from './compression.ts'
import { type IndexDb, openIndexDb } from './index-db.ts'
import { type Journal, openJournal } from './journal.ts'
import { stageLargeBlob } from './large-blob-writer.ts'
import { blobPath, type Layout, layoutOf } from './layout.ts'
import { fileLeases } from './leases.ts'
import { openLocalStore } from './local-store.ts'
import { Presence } from './presence.ts'
import { blobKey } from './rows.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'

/** Compresses to another length at each level. */
const BYTES = Buffer.concat(
  Array.from({ length: 100_000 }, (_, i) => content(8, i % 700).toString('hex')).map(Buffer.from),
)
const DIGEST = digestOf(BYTES)

function indexIn(dir: string): IndexDb {
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  onTestFinished(() => index[Symbol.dispose]())
  return index
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

it('a blob that another has kept meanwhile keeps its file, whenever the second writer dies', async () => {
  const dir = temporaryFolder(onTestFinished)
  const layout = layoutOf(dir)
  {
    await using store = await openLocalStore({ dir, compression: 1 })
    const index = indexIn(dir)
    const leases = fileLeases(layout.locks)
    await using journal = openJournal({ layout, index, leases, durability: 'fast', now: Date.now })
    const presence = new Presence(index, Date.now)
    const shared = { layout, index, presence, compression: compressionOf(19), durability: 'fast' } as const
    const dying = dyingBeforeCommit(journal)
    await using staged = await stageLargeBlob({ ...shared, journal: dying }, once(BYTES))
    await keep(store, BYTES)
    await expect(staged.publish()).rejects.toThrow('died before its commit')
    expect(await gives(store, BYTES)).toBe(true)
    await using again = await stageLargeBlob({ ...shared, journal }, once(BYTES))
    await again.publish()
  }
  expect(readdirSync(layout.tmp)).toEqual([])
  for (const isRebuilt of [false, true]) {
    if (isRebuilt) for (const suffix of ['', '-wal', '-shm']) rmSync(`${layout.index}${suffix}`, { force: true })
    await using store = await openLocalStore({ dir })
    expect(await gives(store, BYTES)).toBe(true)
  }
})

/** All of a transaction is done but its end. */
function dyingBeforeCommit(journal: Journal): Journal {
  return {
    pin: () => journal.pin(),
    rotate: () => journal.rotate(),
    commit: (records, apply) =>
      journal.commit(records, (...transaction) => {
        apply(...transaction)
        throw new Error('died before its commit')
      }),
    [Symbol.asyncDispose]: () => journal[Symbol.asyncDispose](),
  }
}

it('a reader who finds another file than the one he looked up reads that', async () => {
  const dir = temporaryFolder(onTestFinished)
  const layout = layoutOf(dir)
  const kept = [await keptAt(dir, layout, 1), await keptAt(dir, layout, 19)]
  expect(kept[0]?.place).not.toEqual(kept[1]?.place)
  const index = indexIn(dir)
  const exchange = (version: (typeof kept)[number] | undefined) => {
    index.sql('UPDATE blobs SET place=? WHERE hash=?').run(version?.place as Uint8Array, blobKey(DIGEST.hash))
    copyFileSync(String(version?.file), `${layout.tmp}/copy`)
    renameSync(`${layout.tmp}/copy`, blobPath(layout, DIGEST.hash, 'zstd'))
  }
  exchange(kept[0])
  await using store = await openLocalStore({ dir })
  const reading = readWhole(store.blobs, scope, DIGEST)
  exchange(kept[1])
  expect(Buffer.from((await reading) ?? []).equals(BYTES)).toBe(true)
  expect(await gives(store, BYTES)).toBe(true)
  expect(readdirSync(dir)).not.toContain('damaged')
})

/** Row and file of the blob as kept at that level, in place of the one before. */
async function keptAt(dir: string, layout: Layout, level: number): Promise<{ place: Uint8Array; file: string }> {
  await using store = await openLocalStore({ dir, compression: level })
  const index = indexIn(dir)
  index.sql('DELETE FROM blobs').run()
  await keep(store, BYTES)
  const place = index.sql('SELECT place FROM blobs WHERE hash=?').get(blobKey(DIGEST.hash))?.[0] as Uint8Array
  const file = `${dir}-level-${level}`
  copyFileSync(blobPath(layout, DIGEST.hash, 'zstd'), file)
  onTestFinished(() => rmSync(file))
  return { place, file }
}

it('many at once are kept in smaller chunks, each whole', async () => {
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir, compression: 1 })
  const blobs = Array.from({ length: 40 }, (_, i) => content((1 << 20) + 300_000 + i, i))
  async function* slowly(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 1 << 17) yield bytes.subarray(at, at + (1 << 17))
  }
  await Promise.all(blobs.map((bytes) => store.blobs.write(scope, digestOf(bytes), slowly(bytes))))
  for (const bytes of blobs)
    expect(bytes.equals((await readWhole(store.blobs, scope, digestOf(bytes))) ?? Buffer.alloc(0))).toBe(true)
})
