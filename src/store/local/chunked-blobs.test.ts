import { closeSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { readWhole } from '../read-whole.ts'
import { BlobWriter } from './blob-writer.ts'
import { stageChunked } from './chunked-writer.ts'
import { openIndexDb } from './index-db.ts'
import { createTables } from './index-schema.ts'
import { openJournal } from './journal.ts'
import { layoutOf, segmentPath } from './layout.ts'
import { fileLeases } from './leases.ts'
import { type LocalStore, openLocalStore } from './local-store.ts'
import { Presence } from './presence.ts'
import { blobKey, decodeBlobPlace } from './rows.ts'
import { decodeDigests } from './segment.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'

const BLOB = content(6_000_000, 4)

it('keeps of a new version only what is new in it', async () => {
  const { store, dir } = await opened()
  const before = await keep(store, BLOB)
  const changed = Buffer.concat([BLOB.subarray(0, 2_000_000), Buffer.from('a line more'), BLOB.subarray(2_000_000)])
  const after = await keep(store, changed)
  const known = new Set(chunksOf(dir, before).map(({ hash }) => hash))
  const fresh = chunksOf(dir, after).filter(({ hash }) => !known.has(hash))
  expect(known.size).toBeGreaterThan(10)
  expect(fresh.length).toBeLessThan(4)
  expect(await gives(store, BLOB)).toBe(true)
  expect(await gives(store, changed)).toBe(true)
  expect(readdirSync(layoutOf(dir).blobs)).toEqual([])
})

it('reads any range over the borders of chunks', async () => {
  const { store, dir } = await opened()
  const digest = await keep(store, BLOB)
  const borders: number[] = []
  for (const { sizeBytes } of chunksOf(dir, digest)) borders.push((borders.at(-1) ?? 0) + sizeBytes)
  const place = fc.oneof(
    fc.nat(BLOB.length + 10),
    fc.tuple(fc.constantFrom(...borders), fc.integer({ min: -2, max: 2 })).map(([at, by]) => at + by),
  )
  await fc.assert(
    fc.asyncProperty(place, place, async (a, b) => {
      const [offset, end] = [Math.min(a, b), Math.max(a, b)]
      const parts: Uint8Array[] = []
      for await (const part of (await store.blobs.read(scope, digest, { offset, length: end - offset })) ?? [])
        parts.push(Buffer.from(part))
      expect(Buffer.concat(parts).equals(BLOB.subarray(offset, end))).toBe(true)
    }),
    { numRuns: 60 },
  )
})

it('is missing when one of its chunks is, and whole again when written', async () => {
  const { store, dir } = await opened()
  const digest = await keep(store, BLOB)
  await store.actions.put(scope, action('a'), result([digest]))
  await forget(dir, chunksOf(dir, digest)[7] as Digest)
  expect(await store.blobs.missing(scope, [digest])).toEqual([digest])
  expect(await store.blobs.read(scope, digest)).toBeUndefined()
  expect(await store.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'incomplete' })
  await expect(store.actions.put(scope, action('b'), result([digest]))).rejects.toMatchObject({
    code: 'store.incomplete',
  })
  await keep(store, BLOB)
  expect(await gives(store, BLOB)).toBe(true)
  expect((await store.actions.get(scope, action('a'))).kind).toBe('hit')
})

it('is not kept when one of its chunks was collected while it was written', async () => {
  const { store, dir } = await opened()
  const [first] = chunksOf(dir, await keep(store, BLOB))
  async function* longer(): AsyncGenerator<Uint8Array> {
    yield BLOB
    await forget(dir, first as Digest)
    yield content(100_000, 5)
  }
  await expect(store.blobs.ingest(scope, longer())).rejects.toMatchObject({ code: 'store.incomplete' })
  const digest = digestOf(Buffer.concat([BLOB, content(100_000, 5)]))
  expect(await store.blobs.missing(scope, [digest])).toEqual([digest])
})

it('ends with store.corrupt when a chunk is damaged while it is read, not when a row goes', async () => {
  const { store, dir } = await opened()
  const digest = await keep(store, BLOB)
  const path = segmentPath(layoutOf(dir), 1)
  const reading = async (meanwhile: () => Promise<void> | void) => {
    let sizeBytes = 0
    for await (const part of (await store.blobs.read(scope, digest)) ?? []) {
      if (sizeBytes === 0) await meanwhile()
      sizeBytes += part.length
    }
    return sizeBytes
  }
  expect(await reading(() => forget(dir, chunksOf(dir, digest).at(-1) as Digest))).toBe(BLOB.length)
  await keep(store, BLOB)
  const end = statSync(path).size
  const zeros = () => writeAt(path, Buffer.alloc(2_000_000), end - 2_100_000)
  await expect(reading(zeros)).rejects.toMatchObject({ code: 'store.corrupt' })
  expect(await readWhole(store.blobs, scope, digest)).toBeUndefined()
})

it('is never wrong after damage of the journal', async () => {
  const { store, dir, close } = await opened()
  await keep(store, BLOB)
  await close()
  const path = segmentPath(layoutOf(dir), 1)
  writeFileSync(path, Buffer.alloc(3_000_000), { flag: 'r+' })
  {
    await using finding = await openLocalStore({ dir })
    expect(await gives(finding, BLOB)).toBeUndefined()
  }
  await using again = await openLocalStore({ dir, chunking: 'fastcdc' })
  await keep(again, BLOB)
  expect(await gives(again, BLOB)).toBe(true)
})

it('is found again when the index is built anew', async () => {
  const { store, dir, close } = await opened()
  const digest = await keep(store, BLOB)
  await store.actions.put(scope, action('a'), result([digest]))
  const chunks = chunksOf(dir, digest)
  await close()
  for (const name of readdirSync(dir)) if (name.startsWith('index.db')) rmSync(`${dir}/${name}`)
  await using again = await openLocalStore({ dir })
  expect(chunksOf(dir, digest)).toEqual(chunks)
  expect((await again.actions.get(scope, action('a'))).kind).toBe('hit')
  expect(await gives(again, BLOB)).toBe(true)
})

it('lives with its chunks as long as a result names it, through compaction, and goes with the last', async () => {
  let nowMs = Date.now()
  const { store, dir } = await opened(() => nowMs)
  const changed = Buffer.concat([Buffer.from('a line more'), BLOB])
  const [old, young] = [await keep(store, BLOB), await keep(store, changed)]
  await store.actions.put(scope, action('old'), result([old]))
  await store.actions.put(scope, action('young'), result([young]))
  const shared = chunksOf(dir, old).length
  nowMs += 10 * 3_600_000
  await store.actions.remove(scope, action('old'))
  await store.catalog.collect()
  expect(await gives(store, changed)).toBe(true)
  expect(await store.blobs.missing(scope, [old])).toEqual([old])
  expect(chunksOf(dir, young).length).toBeGreaterThanOrEqual(shared - 2)
  // Writes down when that was.
  await store.catalog.collect()
  nowMs += 10 * 3_600_000
  await store.actions.remove(scope, action('young'))
  await store.catalog.collect()
  expect(await store.blobs.missing(scope, [young])).toEqual([young])
  expect((await store.catalog.usage()).blobs).toBe(0)
})

it('is written by many at once, in one process and with others that keep it whole', async () => {
  const { store, dir } = await opened()
  await using plain = await openLocalStore({ dir })
  await Promise.all([keep(store, BLOB), keep(plain, BLOB), keep(store, BLOB)])
  expect(await gives(store, BLOB)).toBe(true)
  expect(await gives(plain, BLOB)).toBe(true)
})

it('that cannot be written says why, not that a part of it is missing', async () => {
  const dir = temporaryFolder(onTestFinished)
  const failure = new Error('no more threads')
  const compression = { encode: () => Promise.reject(failure), isDense: () => false, wrote: () => undefined }
  using index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await createTables(index)
  const presence = new Presence(index, Date.now)
  const layout = layoutOf(dir)
  await using journal = openJournal({
    layout,
    index,
    leases: fileLeases(layout.locks),
    durability: 'fast',
    now: Date.now,
  })
  const writer = new BlobWriter({ index, journal, presence, compression, inlineBytes: 0 })
  // So few chunks that all of them are under way at its end.
  const source = (async function* () {
    yield BLOB.subarray(0, 200_000)
  })()
  await expect(stageChunked({ index, journal, presence, writer, isThere: () => false }, source)).rejects.toBe(failure)
})

async function opened(now?: () => number): Promise<{ store: LocalStore; dir: string; close: () => Promise<void> }> {
  const dir = temporaryFolder(onTestFinished)
  const store = await openLocalStore({ dir, chunking: 'fastcdc', ...(now === undefined ? {} : { now }) })
  let closing: Promise<void> | undefined
  const close = async () => {
    closing ??= store[Symbol.asyncDispose]() as Promise<void>
    await closing
  }
  onTestFinished(close)
  return { store, dir, close }
}

function chunksOf(dir: string, { hash }: Digest): Digest[] {
  using index = openIndexDb(layoutOf(dir).index, { readOnly: true, durability: 'fast' })
  const value = index.sql('SELECT place FROM blobs WHERE hash=?').get(blobKey(hash))?.[0] as Uint8Array | undefined
  const place = value && decodeBlobPlace(blobKey(hash), value)
  return place?.kind === 'chunked' ? decodeDigests(place.chunkList) : []
}

function writeAt(path: string, bytes: Uint8Array, offset: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, offset)
  closeSync(file)
}

/** As another process's collector would. */
async function forget(dir: string, { hash }: Digest): Promise<void> {
  using index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  await index.write(() => {
    index.sql('DELETE FROM blobs WHERE hash=?').run(blobKey(hash))
    index.raiseGeneration()
  })
}
