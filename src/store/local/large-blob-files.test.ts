import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { indexFile } from './apply-record.ts'
import { type IndexDb, openIndexDb } from './index-db.ts'
import { openJournal } from './journal.ts'
import { blobPath, type Layout, layoutOf, segmentPath } from './layout.ts'
import { fileLeases } from './leases.ts'
import { type LocalStore, type LocalStoreOptions, openLocalStore } from './local-store.ts'
import { readRecord } from './record-file.ts'
import { reflinkFolder } from './reflink-folder.fixture.ts'
import { blobKey, decodeBlobPlace } from './rows.ts'
import type { RecordPlace } from './segment.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'
import { verifySegment } from './verify-segment.ts'

const NOISE = randomBytes(3_000_000)
const TEXT = content(3_000_000, 1)
const PLAIN = { isExecutable: false }
const EXECUTABLE = { isExecutable: true }

describe('hard links', () => {
  it('are the file of the store, read-only, with the mode that the first of them asked for', async () => {
    const { store, dir, place } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, TEXT)
    expect(await place(digest, 'a', EXECUTABLE)).toBe('linked')
    expect(await place(digest, 'b', EXECUTABLE)).toBe('linked')
    expect(statSync(join(dir, 'b')).ino).toBe(statSync(stored(dir, digest)).ino)
    expect(statSync(join(dir, 'b')).mode & 0o777).toBe(0o555)
    expect(readFileSync(join(dir, 'a')).equals(TEXT)).toBe(true)
    // One inode has one mode.
    expect(await place(digest, 'c', PLAIN)).toBeUndefined()
    expect(existsSync(join(dir, 'c'))).toBe(false)
  })

  it('are 444 for what is not executable, and leave nothing where they cannot be', async () => {
    const { store, dir, place } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, NOISE)
    expect(await place(digest, 'a', PLAIN)).toBe('linked')
    expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o444)
    await expect(place(digest, 'a', PLAIN)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(await place(digestOf(content(9, 9)), 'b', PLAIN)).toBeUndefined()
  })

  it('are not made of what is young, compressed or in the journal, nor unless asked for', async () => {
    const plain = await opened({})
    expect(await plain.place(await keptLongAgo(plain.store, plain.dir, NOISE), 'a', PLAIN)).not.toBe('linked')
    expect(await plain.place(await keep(plain.store, TEXT), 'b', PLAIN)).toBeUndefined()
    expect(await plain.place(await keep(plain.store, content(5000, 1)), 'c', PLAIN)).toBeUndefined()
    const linking = await opened({ hardLink: true })
    const digest = await keep(linking.store, NOISE)
    const soon = new Date(Date.now() + 60_000)
    utimesSync(stored(linking.dir, digest), soon, soon)
    expect(await linking.place(digest, 'a', PLAIN)).not.toBe('linked')
  })

  it('never give out what was written through another of them', async () => {
    const { store, dir, place, close } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, NOISE)
    await place(digest, 'a', PLAIN)
    chmodSync(join(dir, 'a'), 0o644)
    const file = openSync(join(dir, 'a'), 'r+')
    writeSync(file, 'something else', 1000)
    closeSync(file)
    age(join(dir, 'a'), 90)
    expect(await place(digest, 'b', PLAIN)).toBeUndefined()
    expect(existsSync(join(dir, 'b'))).toBe(false)
    await close()
    await using again = await openLocalStore({ dir: join(dir, 'cache'), hardLink: true })
    expect(await again.blobs.missing(scope, [digest])).toEqual([digest])
    await keep(again, NOISE)
    expect(await gives(again, NOISE)).toBe(true)
    // What somebody has in his workspace is not the store's to mend.
    expect(readFileSync(join(dir, 'a')).equals(NOISE)).toBe(false)
  })

  it('are read again once when they look otherwise, and not again', async () => {
    const { store, dir, place } = await opened({ hardLink: true })
    const digest = await keep(store, NOISE)
    // As it was written.
    const { ino, mtimeMs } = statSync(stored(dir, digest))
    expect(verifiedOf(dir, digest)).toEqual({ ino, mtimeMs })
    age(stored(dir, digest), 100)
    expect(await place(digest, 'a', PLAIN)).toBe('linked')
    expect(verifiedOf(dir, digest)?.mtimeMs).toBe(statSync(stored(dir, digest)).mtimeMs)
    age(stored(dir, digest), 50)
    expect(await place(digest, 'b', PLAIN)).toBe('linked')
    expect(verifiedOf(dir, digest)?.mtimeMs).toBe(statSync(stored(dir, digest)).mtimeMs)
    // Its links come and go without a change of what was verified.
    const before = verifiedOf(dir, digest)
    linkSync(stored(dir, digest), join(dir, 'c'))
    rmSync(join(dir, 'b'))
    expect(await place(digest, 'd', PLAIN)).toBe('linked')
    expect(verifiedOf(dir, digest)).toEqual(before)
  })

  it('of a file that was exchanged for another of the same size and time are none', async () => {
    const { store, dir, place } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, NOISE)
    await place(digest, 'a', PLAIN)
    const { atime, mtime } = statSync(stored(dir, digest))
    writeFileSync(join(dir, 'other'), randomBytes(NOISE.length))
    rmSync(stored(dir, digest))
    linkSync(join(dir, 'other'), stored(dir, digest))
    utimesSync(stored(dir, digest), atime, mtime)
    expect(await place(digest, 'b', PLAIN)).toBeUndefined()
  })

  it('of a file whose checksums are right and whose digest is not are none', async () => {
    const { store, dir, close } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, NOISE)
    const other = await keptLongAgo(store, dir, randomBytes(NOISE.length))
    await close()
    const layout = layoutOf(join(dir, 'cache'))
    await withIndex(dir, async (index) => {
      const record = recordOf(index, layout, other)
      if (record?.kind !== 'file') throw new Error('the other blob is no file')
      copyFileSync(stored(dir, other), stored(dir, digest))
      const leases = fileLeases(layout.locks)
      await using journal = openJournal({ layout, index, leases, durability: 'fast', now: Date.now })
      await journal.commit([{ ...record, digest }], (places) =>
        indexFile(index, layout, { ...record, digest }, places[0] as RecordPlace),
      )
    })
    await using again = await openLocalStore({ dir: join(dir, 'cache'), hardLink: true })
    age(stored(dir, digest), 100)
    expect(await again.files.place(scope, digest, join(dir, 'a'), PLAIN)).toBeUndefined()
    expect(existsSync(join(dir, 'a'))).toBe(false)
    expect(await again.files.place(scope, other, join(dir, 'b'), PLAIN)).toBe('linked')
  })

  it('of a file that was cut, and has its time again, are none', async () => {
    const { store, dir, place } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, NOISE)
    await place(digest, 'a', PLAIN)
    const { atime, mtime } = statSync(stored(dir, digest))
    truncateSync(stored(dir, digest), 1_000_000)
    utimesSync(stored(dir, digest), atime, mtime)
    expect(await place(digest, 'b', PLAIN)).toBeUndefined()
  })

  it('are of files that were read since a power cut, or since the index was built anew', async () => {
    const { store, dir, place, close } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, NOISE)
    await place(digest, 'a', PLAIN)
    await withIndex(dir, (index) => verifySegment(index, layoutOf(join(dir, 'cache')), 1))
    expect(verifiedOf(dir, digest)).toBeUndefined()
    expect(await place(digest, 'b', PLAIN)).toBe('linked')
    expect(verifiedOf(dir, digest)).toBeDefined()
    await close()
    for (const name of readdirSync(join(dir, 'cache')))
      if (name.startsWith('index.db')) rmSync(join(dir, 'cache', name))
    await using again = await openLocalStore({ dir: join(dir, 'cache'), hardLink: true })
    expect(verifiedOf(dir, digest)).toBeUndefined()
    expect(await again.files.place(scope, digest, join(dir, 'c'), PLAIN)).toBe('linked')
  })

  it('come from a store that is open for reading, too', async () => {
    const { store, dir, close } = await opened({ hardLink: true })
    const digest = await keptLongAgo(store, dir, NOISE)
    await close()
    await using reading = await openLocalStore({ dir: join(dir, 'cache'), hardLink: true, readOnly: true })
    expect(await reading.files.place(scope, digest, join(dir, 'a'), PLAIN)).toBe('linked')
    expect(readFileSync(join(dir, 'a')).equals(NOISE)).toBe(true)
  })
})

describe('clones', () => {
  const ends: (() => void)[] = []
  const folder = reflinkFolder((end) => void ends.unshift(end))
  if (folder === undefined) console.log('skipped: no file system that clones files can be mounted here')
  afterAll(() => {
    for (const end of ends) end()
  })
  let folders = 0
  const open = (options: Partial<LocalStoreOptions> = {}) => {
    const dir = join(String(folder), String(folders++))
    mkdirSync(dir)
    return opened(options, dir)
  }

  it.runIf(folder)('are files of their own with the content of the blob', async () => {
    const { store, dir, place } = await open()
    const digest = await keep(store, NOISE)
    expect(await place(digest, 'a', PLAIN)).toBe('cloned')
    expect(await place(digest, 'b', EXECUTABLE)).toBe('cloned')
    expect(readFileSync(join(dir, 'a')).equals(NOISE)).toBe(true)
    const umask = process.umask()
    expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o666 & ~umask)
    expect(statSync(join(dir, 'b')).mode & 0o777).toBe(0o777 & ~umask)
    writeFileSync(join(dir, 'a'), 'changed')
    expect(await gives(store, NOISE)).toBe(true)
    expect(await place(await keep(store, TEXT), 'c', PLAIN)).toBeUndefined()
  })

  it.runIf(folder)('are not made of a file that changed, which is then missing', async () => {
    const { store, dir, place } = await open()
    const digest = await keep(store, NOISE)
    const file = openSync(stored(dir, digest), 'r+')
    writeSync(file, 'something else', 1000)
    closeSync(file)
    age(stored(dir, digest), 10)
    expect(await place(digest, 'a', PLAIN)).toBeUndefined()
    expect(existsSync(join(dir, 'a'))).toBe(false)
  })

  it.runIf(folder)('take a captured file into the store, as it is', async () => {
    const { store, dir, ingest } = await open()
    writeFileSync(join(dir, 'output'), NOISE)
    expect(await ingest('output')).toEqual(digestOf(NOISE))
    expect(await gives(store, NOISE)).toBe(true)
    expect(statSync(stored(dir, digestOf(NOISE))).mode & 0o777).toBe(0o600)
    const journalled = statSync(segmentPath(layoutOf(join(dir, 'cache')), 1)).size
    expect(await ingest('output')).toEqual(digestOf(NOISE))
    expect(statSync(segmentPath(layoutOf(join(dir, 'cache')), 1)).size).toBe(journalled)
    expect(readdirSync(join(dir, 'cache/tmp'))).toEqual([])
    writeFileSync(join(dir, 'output'), 'changed')
    expect(await gives(store, NOISE)).toBe(true)
  })

  it.runIf(folder)('leave to others what is to be compressed or chunked', async () => {
    const compressing = await open()
    writeFileSync(join(compressing.dir, 'output'), TEXT)
    expect(await compressing.ingest('output')).toBeUndefined()
    expect(readdirSync(join(compressing.dir, 'cache/tmp'))).toEqual([])
    const chunking = await open({ chunking: 'fastcdc' })
    writeFileSync(join(chunking.dir, 'output'), NOISE)
    expect(await chunking.ingest('output')).toBeUndefined()
  })

  it('are not made where the file system has none', async () => {
    const { store, dir, place, ingest } = await opened({}, undefined)
    const digest = await keep(store, NOISE)
    writeFileSync(join(dir, 'output'), NOISE)
    const first = await place(digest, 'a', PLAIN)
    // Where the tests run on one that clones, this says nothing.
    expect([undefined, 'cloned']).toContain(first)
    expect(existsSync(join(dir, 'a'))).toBe(first === 'cloned')
    expect([undefined, digest.hash]).toContain((await ingest('output'))?.hash)
  })
})

/** A store in `<dir>/cache`, and files beside it. */
async function opened(options: Partial<LocalStoreOptions>, folder?: string) {
  const dir = folder ?? temporaryFolder(onTestFinished)
  const store = await openLocalStore({ ...options, dir: join(dir, 'cache') })
  let closing: Promise<void> | undefined
  const close = async () => {
    closing ??= store[Symbol.asyncDispose]() as Promise<void>
    await closing
  }
  onTestFinished(close)
  return {
    close,
    dir,
    store,
    place: (digest: Digest, name: string, how: { isExecutable: boolean }) =>
      store.files.place(scope, digest, join(dir, name), how),
    ingest: async (name: string) => {
      const path = join(dir, name)
      const file = openSync(path, 'r')
      try {
        return await store.files.ingestFile(scope, { file, path })
      } finally {
        closeSync(file)
      }
    },
  }
}

function stored(dir: string, { hash }: Digest): string {
  return blobPath(layoutOf(join(dir, 'cache')), hash, 'raw')
}

function age(path: string, seconds: number): void {
  const then = new Date(Date.now() - seconds * 1000)
  utimesSync(path, then, then)
}

/** Verified as it looks then: the tick in which it was made is over. */
async function keptLongAgo(store: LocalStore, dir: string, bytes: Uint8Array): Promise<Digest> {
  const digest = await keep(store, bytes)
  if (existsSync(stored(dir, digest))) age(stored(dir, digest), 100)
  return digest
}

async function withIndex<T>(dir: string, work: (index: ReturnType<typeof openIndexDb>) => Promise<T> | T): Promise<T> {
  using index = openIndexDb(layoutOf(join(dir, 'cache')).index, { readOnly: false, durability: 'fast' })
  return await work(index)
}

function recordOf(index: IndexDb, layout: Layout, { hash }: Digest) {
  const value = index.sql('SELECT place FROM blobs WHERE hash=?').get(blobKey(hash))?.[0] as Uint8Array
  const place = decodeBlobPlace(blobKey(hash), value)
  return place && readRecord(segmentPath(layout, place.record.segment), place.record)
}

function verifiedOf(dir: string, { hash }: Digest) {
  using index = openIndexDb(layoutOf(join(dir, 'cache')).index, { readOnly: true, durability: 'fast' })
  const value = index.sql('SELECT place FROM blobs WHERE hash=?').get(blobKey(hash))?.[0] as Uint8Array
  const place = decodeBlobPlace(blobKey(hash), value)
  return place?.kind === 'file' ? place.verified : undefined
}
