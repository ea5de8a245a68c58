import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { constants, zstdCompressSync } from 'node:zlib'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../digest/sha256.ts'
import { action, result } from '../store/action-store.contract.ts'
import { exportArchive } from '../store/archive/export-archive.ts'
import { importArchive } from '../store/archive/import-archive.ts'
import { content } from '../store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../store/contracts.ts'
import { layoutOf } from '../store/local/layout.ts'
import { type LocalStore, openLocalStore } from '../store/local/local-store.ts'
import { gives, keep, temporaryFolder } from '../store/local/temporary-store.fixture.ts'
import { memoryStore } from '../store/memory/memory-store.ts'
import { readWhole } from '../store/read-whole.ts'
import { isWell } from './fault.ts'
import { inspectStore } from './inspect.ts'
import { repairStore } from './repair.ts'
import { scrub } from './scrub.ts'

const HOUR = 3_600_000
const MIB = 2 ** 20

function sized(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes, { pledgedSrcSize: bytes.length })
}

function unsized(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } })
}

function checked(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
}

const SKIPPED = Buffer.from('502a4d1803000000aabbcc', 'hex')

/** The parts of a blob, and how each became a frame: small blobs, which stay as they come, then large ones. */
const GIVEN = (
  [
    [unsized, [30_000]],
    [checked, [1, 20_000, 300, 5_000]],
    [unsized, [700, 700]],
    [(bytes) => Buffer.concat([SKIPPED, sized(bytes), SKIPPED]), [9_000, 9_000]],
    [checked, [MIB, MIB, 1234]],
    [sized, [MIB / 2, MIB / 2, MIB, MIB, 5]],
    [sized, [300_000, MIB, MIB, MIB]],
    [unsized, [400_000, 900_000]],
    [checked, [3 * MIB]],
  ] satisfies [(bytes: Uint8Array) => Buffer, number[]][]
).map(([frameOf, sizes], seed) => {
  const parts = sizes.map((size, i) => content(size, 10 * seed + i))
  return { bytes: Buffer.concat(parts), frames: Buffer.concat(parts.map(frameOf)) }
})
const DIGESTS = GIVEN.map(({ bytes }) => digestOf(bytes))

let dir: string

beforeEach(async () => {
  dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir })
  for (const [i, { frames }] of GIVEN.entries()) await store.frames.writeFrame(scope, DIGESTS[i] as never, frames)
  await store.actions.put(scope, action('given'), result(DIGESTS))
})

async function expectAll(store: LocalStore): Promise<void> {
  expect((await store.actions.get(scope, action('given'))).kind).toBe('hit')
  for (const [i, { bytes }] of GIVEN.entries()) {
    expect(await gives(store, bytes), `blob ${i}`).toBe(true)
    const half = bytes.length >> 1
    const part: Uint8Array[] = []
    for await (const piece of (await store.blobs.read(scope, digestOf(bytes), { offset: half })) ?? [])
      part.push(Uint8Array.from(piece))
    expect(Buffer.concat(part).equals(bytes.subarray(half)), `half of blob ${i}`).toBe(true)
  }
  for await (const { index, bytes } of store.blobs.readBatch(scope, DIGESTS))
    expect(bytes && GIVEN[index]?.bytes.equals(bytes), `blob ${index} of a batch`).toBe(true)
}

test('a store that holds frames as they came is well, and nothing in it is mended', async () => {
  expect(isWell(await inspectStore(dir))).toBe(true)
  const { found, left } = await repairStore(dir)
  expect([isWell(found), left === undefined || isWell(left)]).toEqual([true, true])
  await using store = await openLocalStore({ dir })
  const bytes = GIVEN.reduce((sum, one) => sum + one.bytes.length, 0)
  expect(await scrub(store)).toEqual({ blobs: GIVEN.length, bytes, damagedBlobs: 0, isDone: true })
  await expectAll(store)
})

test('they are exported, and imported elsewhere', async () => {
  await using store = await openLocalStore({ dir })
  const target = memoryStore()
  const report = await importArchive(target, exportArchive(store, [action('given')], { scope }), { scope })
  expect(report).toMatchObject({ actions: 1, blobs: GIVEN.length })
  for (const { bytes } of GIVEN)
    expect(bytes.equals((await readWhole(target.blobs, scope, digestOf(bytes))) ?? Buffer.of(0))).toBe(true)
})

test('an index is built again from them', async () => {
  const { index } = layoutOf(dir)
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${index}${suffix}`, { force: true })
  {
    await using store = await openLocalStore({ dir })
    await expectAll(store)
  }
  expect(isWell(await inspectStore(dir))).toBe(true)
})

test('they are copied out of a segment that is mostly dead', async () => {
  let aheadMs = 0
  {
    await using store = await openLocalStore({ dir, now: () => Date.now() + aheadMs })
    const loose = Array.from({ length: 20 }, () => randomBytes(100_000))
    for (const bytes of loose) await keep(store, bytes)
    const segments = readdirSync(layoutOf(dir).journal)
    aheadMs = 10 * HOUR
    expect((await store.catalog.collect()).removedBlobs).toBe(loose.length)
    // What lives is in another.
    expect(readdirSync(layoutOf(dir).journal)).not.toEqual(segments)
    await expectAll(store)
    expect(await scrub(store)).toMatchObject({ blobs: GIVEN.length, damagedBlobs: 0 })
  }
  expect(isWell(await inspectStore(dir))).toBe(true)
  expect(existsSync(layoutOf(dir).damaged)).toBe(false)
})
