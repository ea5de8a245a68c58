import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { type BlobStore, DEFAULT_SCOPE as scope } from '../contracts.ts'
import { type MemoryStore, memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'
import { hearRemote, type RemoteEvent } from './remote-events.ts'
import { type TieredOptions, type TieredStore, tiered } from './tiered.ts'
import { type Before, type WatchedEnd, watchedEnd } from './watched-end.fixture.ts'

let used: AsyncDisposableStack
let near: MemoryStore
let kept: MemoryStore
let events: RemoteEvent[]
beforeEach(() => {
  used = new AsyncDisposableStack()
  near = memoryStore()
  kept = memoryStore()
  events = []
  used.use(hearRemote((event) => events.push(event)))
})
afterEach(() => used.disposeAsync())

const files = [content(1000, 1), content(70_000, 2), content(3_000_000, 3)]
const wanted = action('a')

/** A tier over what is kept far. */
function over(before?: Before, options: Partial<TieredOptions> = {}): { tier: TieredStore; far: WatchedEnd } {
  const far = watchedEnd(kept, before)
  return { far, tier: used.use(tiered(near, async () => far, { place: 'far', ...options })) }
}

async function keep(store: { readonly blobs: BlobStore }, bytes: Uint8Array): Promise<Digest> {
  await store.blobs.write(scope, digestOf(bytes), bytes)
  return digestOf(bytes)
}

async function keepFar(): Promise<Digest[]> {
  const digests = await Promise.all(files.map((bytes) => keep(kept, bytes)))
  await kept.actions.put(scope, wanted, result(digests))
  return digests
}

async function reads(store: { readonly blobs: BlobStore }, bytes: Uint8Array): Promise<boolean> {
  const found = await readWhole(store.blobs, scope, digestOf(bytes))
  return found !== undefined && Buffer.from(found).equals(bytes)
}

describe('a result that is found far', () => {
  test('is a hit that says where from, and is near with all its blobs once that has settled', async () => {
    await keepFar()
    const { tier } = over()
    expect(await tier.actions.get(scope, wanted)).toMatchObject({ kind: 'hit', place: 'far' })
    expect(await tier.flush(5_000)).toEqual({ uploads: 0, downloads: 0 })
    expect(await near.actions.get(scope, wanted)).toMatchObject({ kind: 'hit' })
    for (const bytes of files) expect(await reads(near, bytes)).toBe(true)
  })

  test('is read while it arrives, each blob fetched once', async () => {
    const digests = await keepFar()
    const { tier, far } = over()
    await tier.actions.get(scope, wanted)
    const found: boolean[] = []
    for await (const { index, bytes } of tier.blobs.readBatch(scope, digests))
      found[index] = bytes !== undefined && Buffer.from(bytes).equals(files[index] as Buffer)
    expect(found).toEqual([true, true, true])
    await tier.flush(5_000)
    // The small ones together, the large one alone.
    expect(far.calls.sort()).toEqual(['get', 'read', 'readBatch'])
  })
})

test('what is put goes far in the background, blobs first, and leaves nothing to be done', async () => {
  const { tier, far } = over()
  const digests = await Promise.all(files.map((bytes) => keep(tier, bytes)))
  await tier.actions.put(scope, wanted, result(digests))
  expect(await tier.flush(5_000)).toEqual({ uploads: 0, downloads: 0 })
  expect(await kept.actions.get(scope, wanted)).toMatchObject({ kind: 'hit' })
  for (const bytes of files) expect(await reads(kept, bytes)).toBe(true)
  expect(far.calls).toEqual(['missing', 'write', 'write', 'write', 'put'])
})

test('a far end that fails is as one that has nothing', async () => {
  await keepFar()
  const { tier } = over(() => {
    throw new CacheError('remote.unreachable', 'far is away')
  })
  expect(await tier.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'absent' })
  for (const bytes of files) expect(await tier.blobs.read(scope, digestOf(bytes))).toBeUndefined()
  expect(events.filter(({ kind }) => kind === 'fault').length).toBeGreaterThan(0)
})
