import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { existsSync, rmSync, truncateSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../digest/sha256.ts'
import { DEFAULT_SCOPE } from '../store/contracts.ts'
import { CORRUPT_CHANNEL } from '../store/local/corrupt.ts'
import { layoutOf, segmentPath } from '../store/local/layout.ts'
import { openLocalStore } from '../store/local/local-store.ts'
import { scanSegment } from '../store/local/salvage.ts'
import { gives, keep, temporaryFolder } from '../store/local/temporary-store.fixture.ts'
import { change, fill, forge, LARGE, largeFile, MIDDLE, SMALL } from './operate.fixture.ts'
import { scrub } from './scrub.ts'
import { loadPlace, START, savePlace } from './scrub-place.ts'

async function filled(): Promise<string> {
  const dir = temporaryFolder(onTestFinished)
  await fill(dir)
  return dir
}

it('reads every blob once, and finds nothing in a store that is sound', async () => {
  await using store = await openLocalStore({ dir: await filled() })
  const bytes = SMALL.length + MIDDLE.length + LARGE.length
  expect(await scrub(store)).toEqual({ blobs: 3, bytes, damagedBlobs: 0, isDone: true })
  expect(loadPlace(store.records)).toEqual(START)
})

it.each([
  ['content under checksums that are right', forge, MIDDLE],
  ['a record of the journal', (dir: string) => change(segmentPath(layoutOf(dir), 1), 5_000, 9), MIDDLE],
  ['the head of a record', (dir: string) => change(segmentPath(layoutOf(dir), 1), headOfMiddle(dir), 4), MIDDLE],
  ['a large blob', (dir: string) => change(largeFile(dir), 1_000, 1), LARGE],
  ['a large blob that is gone', (dir: string) => rmSync(largeFile(dir)), LARGE],
])('finds %s, tells it, and the blob is missing until it is written anew', async (_, damage, blob) => {
  const dir = await filled()
  damage(dir)
  let told = 0
  const listener = () => void told++
  subscribe(CORRUPT_CHANNEL, listener)
  onTestFinished(() => void unsubscribe(CORRUPT_CHANNEL, listener))
  await using store = await openLocalStore({ dir })
  expect(await scrub(store)).toMatchObject({ damagedBlobs: 1, isDone: true })
  expect(told).toBeGreaterThan(0)
  expect(await store.blobs.missing(DEFAULT_SCOPE, [blob].map(digestOf))).toHaveLength(1)
  if (blob === LARGE) expect(existsSync(largeFile(dir))).toBe(false)
  await keep(store, blob)
  expect(await gives(store, blob)).toBe(true)
  expect(await scrub(store)).toMatchObject({ damagedBlobs: 0 })
})

it('a segment that is gone is damage of all that was in it', async () => {
  const dir = await filled()
  rmSync(segmentPath(layoutOf(dir), 1))
  await using store = await openLocalStore({ dir })
  expect((await scrub(store)).damagedBlobs).toBe(3)
})

it('a segment that is cut short is damage of all that was behind the cut', async () => {
  const dir = await filled()
  truncateSync(segmentPath(layoutOf(dir), 1), headOfMiddle(dir))
  await using store = await openLocalStore({ dir })
  expect((await scrub(store)).damagedBlobs).toBe(2)
  expect(await store.blobs.missing(DEFAULT_SCOPE, [SMALL, MIDDLE, LARGE].map(digestOf))).toHaveLength(2)
})

it('goes on in another process where it was stopped, or from the start if told so', async () => {
  const dir = await filled()
  const end = { kind: 'files', afterHash: digestOf(LARGE).hash } as const
  const segment = { kind: 'journal', segment: 1, offset: 0 } as const
  {
    await using store = await openLocalStore({ dir })
    // Slow enough to be stopped before its second blob, whichever that is.
    const control = new AbortController()
    const stopped = scrub(store, { bytesPerSecond: 10, signal: control.signal })
    setImmediate(() => control.abort())
    expect((await stopped).isDone).toBe(false)
    expect(loadPlace(store.records)).not.toEqual(end)
    await savePlace(store.records, { kind: 'files', afterHash: '' })
  }
  await using store = await openLocalStore({ dir })
  expect(await scrub(store)).toMatchObject({ blobs: 1, isDone: true })
  await savePlace(store.records, end)
  expect(loadPlace(store.records)).toEqual(end)
  expect(await scrub(store)).toMatchObject({ blobs: 0, isDone: true })
  await savePlace(store.records, end)
  expect(await scrub(store, { fromStart: true })).toMatchObject({ blobs: 3 })
  await savePlace(store.records, segment)
  expect(loadPlace(store.records)).toEqual(segment)
})

it.each([0, -1, Number.NaN])('refuses a rate of %s', async (bytesPerSecond) => {
  await using store = await openLocalStore({ dir: await filled() })
  await expect(scrub(store, { bytesPerSecond })).rejects.toMatchObject({ code: 'usage' })
})

/** The second record is the middle blob's. */
function headOfMiddle(dir: string): number {
  const [, second] = scanSegment(segmentPath(layoutOf(dir), 1), 1)
  return (second?.place.offset ?? 0) + 8
}
