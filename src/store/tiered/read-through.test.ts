import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { type Directory, Tree } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { type BlobFiles, DEFAULT_SCOPE as scope } from '../contracts.ts'
import { hearCorruption } from '../local/corrupt.ts'
import { type MemoryStore, memoryStore } from '../memory/memory-store.ts'
import { REMOTE_CHANNEL } from '../remote/remote-channel.ts'
import { groupsOf } from './far-blobs.ts'
import { hearRemote, type RemoteEvent } from './remote-events.ts'
import { type FarTier, type NearTier, type TieredOptions, type TieredStore, tiered } from './tiered.ts'
import { forgetfulStore, gate, gives, keepBlob, keepResult, standsIn } from './tiers.fixture.ts'
import { type Before, type WatchedEnd, watchedEnd } from './watched-end.fixture.ts'

let used: AsyncDisposableStack
let near: ReturnType<typeof forgetfulStore>
let kept: ReturnType<typeof forgetfulStore>
let events: RemoteEvent[]
let nowMs: number
beforeEach(() => {
  used = new AsyncDisposableStack()
  near = forgetfulStore()
  kept = forgetfulStore()
  events = []
  nowMs = 1_700_000_000_000
  used.use(hearRemote((event) => events.push(event)))
})
afterEach(() => used.disposeAsync())

const files = [content(1000, 1), content(70_000, 2), content(3_000_000, 3)]
const [small, , large] = files as [Buffer, Buffer, Buffer]
const wanted = action('a')
const PATIENT_MS = 10_000
const NOTHING_LEFT = { uploads: 0, downloads: 0 }

/** A tier over what is kept far. */
function over(before?: Before, options: Partial<TieredOptions> = {}): { tier: TieredStore; far: WatchedEnd } {
  const far = watchedEnd(kept, before)
  return { far, tier: tierOver(far, options) }
}

function tierOver(far: FarTier, options: Partial<TieredOptions> = {}, own: NearTier = near): TieredStore {
  return used.use(tiered(own, async () => far, { place: 'far', now: () => nowMs, ...options }))
}

const unreachable = () => {
  throw new CacheError('remote.unreachable', 'as the test says')
}

async function batch(tier: TieredStore, contents: readonly Uint8Array[]): Promise<(boolean | undefined)[]> {
  const found: (boolean | undefined)[] = contents.map(() => false)
  for await (const { index, bytes } of tier.blobs.readBatch(scope, contents.map(digestOf)))
    found[index] = bytes && Buffer.from(bytes).equals(contents[index] as Buffer)
  return found
}

test('what is near is found there, and the far end is not even opened', async () => {
  await keepResult(near, 'a', files)
  const tier = used.use(tiered(near, () => Promise.reject(new Error('opened')), { place: 'far' }))
  expect(await standsIn(tier, 'a', files)).toBe('hit')
  expect(await batch(tier, files)).toEqual([true, true, true])
  expect(await tier.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
  expect(events).toEqual([])
})

describe('a result that is found far', () => {
  test('is a hit that says where from, and is near with all its blobs once that has settled', async () => {
    await keepResult(kept, 'a', files)
    const { tier } = over()
    expect(await tier.actions.get(scope, wanted)).toMatchObject({ kind: 'hit', place: 'far' })
    expect(await tier.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
    expect(await standsIn(near, 'a', files)).toBe('hit')
    expect(near.records.names('upload', '')).toEqual([])
    const bytes = events.map((event) => 'bytes' in event && event.direction === 'down' && [event.kind, event.bytes])
    expect(bytes).toContainEqual(['moved', 3_000_000])
    expect(events.filter(({ kind }) => kind === 'lost' || kind === 'fault')).toEqual([])
  })

  test('is read while it arrives, each blob fetched once', async () => {
    await keepResult(kept, 'a', files)
    const { tier, far } = over()
    await tier.actions.get(scope, wanted)
    expect(await batch(tier, files)).toEqual([true, true, true])
    await tier.flush(PATIENT_MS)
    // The small ones together, the large one alone.
    expect(far.calls.sort()).toEqual(['get', 'read', 'readBatch'])
  })

  test('is there to be read before near has kept it', async () => {
    await keepResult(kept, 'a', [small])
    const held = gate()
    const { write } = near.blobs
    near.blobs.write = async (...asked) => {
      await held.pass()
      return write(...asked)
    }
    const { tier } = over()
    await tier.actions.get(scope, wanted)
    expect(await batch(tier, [small])).toEqual([true])
    expect(await tier.pending()).toEqual({ uploads: 0, downloads: 1 })
    expect(await near.actions.get(scope, wanted)).toMatchObject({ kind: 'miss' })
    held.open()
    expect(await tier.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
    expect(await standsIn(near, 'a', [small])).toBe('hit')
  })

  test('comes with what its trees name', async () => {
    const child: Directory = { files: [], directories: [], symlinks: [] }
    const root = { ...child, files: [{ name: 'f', digest: await keepBlob(kept, large), isExecutable: false }] }
    const tree = Tree.encode({ root, children: [child] }).finish()
    const treeDigest = await keepBlob(kept, tree)
    const outputDirectories = [{ path: 'dist', treeDigest, isTopologicallySorted: false }]
    await kept.actions.put(scope, wanted, { ...result([]), outputDirectories })
    const { tier } = over()
    await tier.actions.get(scope, wanted)
    await tier.flush(PATIENT_MS)
    expect(await standsIn(near, 'a', [tree, large])).toBe('hit')
  })

  test('is asked for once by all who want it at the same time', async () => {
    await keepResult(kept, 'a', files)
    const { tier, far } = over()
    const found = await Promise.all([1, 2, 3].map(() => tier.actions.get(scope, wanted)))
    expect(found.map(({ kind }) => kind)).toEqual(['hit', 'hit', 'hit'])
    expect(far.calls.filter((call) => call === 'get')).toHaveLength(1)
  })

  test('mends what near has lost of it', async () => {
    await keepResult(kept, 'a', files)
    await keepResult(near, 'a', files)
    near.lost.add(digestOf(small).hash)
    const { tier } = over()
    expect(await standsIn(tier, 'a', files)).toBe('hit')
    await tier.flush(PATIENT_MS)
    expect(await standsIn(near, 'a', files)).toBe('hit')
  })

  test('does not take the place of what another process puts meanwhile', async () => {
    await keepResult(kept, 'a', files)
    const held = gate()
    const { tier } = over((call) => (call === 'readBatch' ? held.pass() : undefined))
    await tier.actions.get(scope, wanted)
    await held.isReached
    await keepResult(near, 'a', [content(500, 9)])
    held.open()
    await tier.flush(PATIENT_MS)
    const found = await near.actions.get(scope, wanted)
    expect(found.kind === 'hit' && found.result.outputFiles).toHaveLength(1)
  })

  test('is left where it is, but for the blobs that are read, if that is wanted', async () => {
    await keepResult(kept, 'a', files)
    const { tier, far } = over(undefined, { fetch: 'asked' })
    expect(await tier.actions.get(scope, wanted)).toMatchObject({ kind: 'hit' })
    expect(await tier.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
    expect(far.calls).toEqual(['get'])
    expect(await tier.actions.get(scope, wanted)).toMatchObject({ kind: 'hit' })
    expect(await batch(tier, files)).toEqual([true, true, true])
    await tier.flush(PATIENT_MS)
    expect(await standsIn(near, 'a', files)).toBe('hit')
  })

  test('never takes the place of what this process puts meanwhile', async () => {
    await keepResult(kept, 'a', files)
    const held = gate()
    const { tier } = over((call) => (call === 'readBatch' ? held.pass() : undefined), { write: false })
    await tier.actions.get(scope, wanted)
    await held.isReached
    const own = [content(500, 9)]
    await keepResult(tier, 'a', own)
    held.open()
    await tier.flush(PATIENT_MS)
    expect(await standsIn(near, 'a', own)).toBe('hit')
    const found = await near.actions.get(scope, wanted)
    expect(found.kind === 'hit' && found.result.outputFiles).toHaveLength(1)
  })

  test('is waited for by a put while it is being put near', async () => {
    await keepResult(kept, 'a', [small])
    const held = gate()
    const { put } = near.actions
    let puts = 0
    near.actions.put = async (...asked) => {
      if (++puts === 1) await held.pass()
      return put.apply(near.actions, asked)
    }
    const { tier } = over(undefined, { write: false })
    await tier.actions.get(scope, wanted)
    await held.isReached
    const putting = keepResult(tier, 'a', [content(500, 9)])
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    expect(puts).toBe(1)
    held.open()
    await putting
    expect(await standsIn(near, 'a', [content(500, 9)])).toBe('hit')
    const found = await near.actions.get(scope, wanted)
    expect(found.kind === 'hit' && found.result.outputFiles[0]?.digest).toEqual(digestOf(content(500, 9)))
  })
})

describe('a result that is far in part', () => {
  test('since its tree names what is not there, is absent', async () => {
    const gone = { name: 'f', digest: digestOf(content(10, 5)), isExecutable: false }
    const root: Directory = { files: [gone], directories: [], symlinks: [] }
    const treeDigest = await keepBlob(kept, Tree.encode({ root, children: [] }).finish())
    const outputDirectories = [{ path: 'dist', treeDigest, isTopologicallySorted: false }]
    kept.actions.get = async () => {
      const encoded = Buffer.alloc(0)
      return { kind: 'hit', result: { ...result([]), outputDirectories }, encoded, resultDigest: digestOf(encoded) }
    }
    const { tier } = over()
    expect(await tier.pull(scope, [wanted])).toMatchObject({ actions: 0, absent: [wanted], failed: [] })
  })

  test('is a hit whose blobs are not all there, nothing near, and a miss from then on', async () => {
    const digests = await keepResult(kept, 'a', files)
    const far = watchedEnd(kept)
    const tier = tierOver(far)
    // As a server whose word is not worth much.
    kept.actions.get = async () => {
      const encoded = Buffer.alloc(0)
      return { kind: 'hit', result: result(digests), encoded, resultDigest: digestOf(encoded) }
    }
    kept.lost.add((digests[0] as Digest).hash)
    expect(await tier.actions.get(scope, wanted)).toMatchObject({ kind: 'hit' })
    expect(await gives(tier, small)).toBeUndefined()
    expect(await tier.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
    expect(await near.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'absent' })
    expect(await tier.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'absent' })
    expect(far.calls.filter((call) => call === 'get')).toHaveLength(1)
    expect(events.filter(({ kind }) => kind === 'fault')).toEqual([])
    expect(await tier.pull(scope, [wanted])).toMatchObject({ actions: 0, absent: [wanted], failed: [] })
  })

  test('names a tree that is none', async () => {
    const treeDigest = await keepBlob(kept, Buffer.from('\xff\xff no tree'))
    const outputDirectories = [{ path: 'dist', treeDigest, isTopologicallySorted: false }]
    kept.actions.get = async () => {
      const encoded = Buffer.alloc(0)
      return { kind: 'hit', result: { ...result([]), outputDirectories }, encoded, resultDigest: digestOf(encoded) }
    }
    const { tier } = over()
    await tier.actions.get(scope, wanted)
    await tier.flush(PATIENT_MS)
    expect(await near.actions.get(scope, wanted)).toMatchObject({ kind: 'miss' })
    expect(await tier.actions.get(scope, wanted)).toMatchObject({ kind: 'miss' })
  })
})

describe('what far has not got', () => {
  test('is not asked for again for ten seconds', async () => {
    const { tier, far } = over()
    const ask = async () => {
      await tier.actions.get(scope, wanted)
      await tier.blobs.read(scope, digestOf(small))
      await tier.blobs.read(scope, digestOf(large))
      return far.calls.splice(0)
    }
    expect(await ask()).toEqual(['get', 'readBatch', 'read'])
    await keepResult(kept, 'a', files)
    nowMs += 9_999
    expect(await ask()).toEqual([])
    nowMs += 1
    expect((await ask()).sort()).toEqual(['get', 'read', 'readBatch'])
    expect(await standsIn(tier, 'a', files)).toBe('hit')
  })

  test('is said to be missing as near says it, or else as far does', async () => {
    const { tier } = over()
    await keepResult(kept, 'b', [small])
    kept.lost.add(digestOf(small).hash)
    expect(await tier.actions.get(scope, action('b'))).toEqual({ kind: 'miss', why: 'incomplete' })
    await keepResult(near, 'a', files)
    near.lost.add(digestOf(small).hash)
    expect(await tier.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'incomplete' })
  })

  test('is not asked for where results grow too old near, or nothing is to be read', async () => {
    await keepResult(kept, 'a', files)
    const without = over(undefined, { read: false })
    expect(await without.tier.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'absent' })
    expect(await gives(without.tier, small)).toBeUndefined()
    near.actions.get = async () => ({ kind: 'miss', why: 'expired' })
    const { tier, far } = over()
    expect(await tier.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'expired' })
    expect([...far.calls, ...without.far.calls]).toEqual([])
  })
})

describe('a far end that fails', () => {
  test('is as one that has nothing, and is told of on the channel', async () => {
    await keepResult(kept, 'a', files)
    const told: unknown[] = []
    const listen = (message: unknown) => told.push(message)
    subscribe(REMOTE_CHANNEL, listen)
    used.defer(() => void unsubscribe(REMOTE_CHANNEL, listen))
    const { tier } = over(unreachable)
    expect(await tier.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'absent' })
    expect(await batch(tier, files)).toEqual([undefined, undefined, undefined])
    expect(await tier.blobs.read(scope, digestOf(large))).toBeUndefined()
    expect(told).toEqual(events)
    const faults = events.filter((event) => event.kind === 'fault')
    expect(faults.map(({ during }) => during)).toEqual(['look-up', 'download', 'download', 'download'])
    expect(faults[0]).toMatchObject({ place: 'far', error: { code: 'remote.unreachable' } })
  })

  test('is asked again for what it failed at by who comes some time later', async () => {
    await keepResult(kept, 'a', files)
    const far = watchedEnd(kept)
    let isAway = true
    const { get } = far.actions
    far.actions.get = async (...asked) => {
      if (isAway) throw new CacheError('remote.timed-out', 'as the test says')
      return get.apply(kept.actions, asked)
    }
    const tier = tierOver(far)
    expect((await tier.actions.get(scope, wanted)).kind).toBe('miss')
    isAway = false
    nowMs += 999
    expect((await tier.actions.get(scope, wanted)).kind).toBe('miss')
    nowMs += 1
    expect((await tier.actions.get(scope, wanted)).kind).toBe('hit')
  })

  test('is none when it cannot even be opened', async () => {
    const tier = used.use(tiered(near, () => Promise.reject(new Error('no such module')), { place: 'far' }))
    expect(await tier.actions.get(scope, wanted)).toEqual({ kind: 'miss', why: 'absent' })
    expect(await gives(tier, small)).toBeUndefined()
    expect(await gives(tier, large)).toBeUndefined()
    expect(await tier.actions.remove(scope, wanted)).toBe(false)
  })

  test('in the midst of a batch leaves what has come', async () => {
    await keepResult(kept, 'a', files)
    const far = watchedEnd(kept)
    far.blobs.readBatch = async function* (_scope, digests) {
      yield { index: 1, bytes: files[1] }
      yield { index: 1, bytes: Buffer.alloc(70_000, 'twice') }
      yield { index: 0, bytes: small.subarray(1) }
      throw new CacheError('remote.failed', `after one of ${digests.length}`)
    }
    const tier = tierOver(far)
    expect(await batch(tier, files.slice(0, 2))).toEqual([undefined, true])
    await tier.flush(PATIENT_MS)
    expect(await gives(near, files[1] as Buffer)).toBe(true)
    expect(await near.blobs.missing(scope, [digestOf(small)])).toHaveLength(1)
  })

  test('in the midst of a result is not asked for the rest of it', async () => {
    await keepResult(kept, 'a', files.slice(0, 2))
    const { tier, far } = over((call) => {
      if (call === 'readBatch') throw new CacheError('remote.failed', 'as the test says')
    })
    const report = await tier.pull(scope, [wanted])
    expect(report).toMatchObject({ actions: 0, failed: [{ action: wanted, error: { code: 'remote.failed' } }] })
    expect(far.calls).toEqual(['get', 'readBatch'])
  })

  test('by giving other bytes is told once, where damage is told', async () => {
    const damages: string[] = []
    using _hearing = hearCorruption(({ what, where }) => damages.push(`${what} ${where}`))
    const far = watchedEnd(kept)
    far.blobs.read = async () => ({
      // biome-ignore lint/correctness/useYield: as an end says it.
      async *[Symbol.asyncIterator]() {
        throw new CacheError('store.corrupt', 'other bytes')
      },
      async [Symbol.asyncDispose]() {},
    })
    const tier = tierOver(far)
    for (let time = 0; time < 2; time++) expect(await gives(tier, large)).toBeUndefined()
    expect(damages).toEqual([`a blob of a remote cache far: ${digestOf(large).hash}`])
    expect(events.filter(({ kind }) => kind === 'fault')).toEqual([])
  })

  test('does not hold up who leaves, though it hears of nothing', async () => {
    await keepResult(kept, 'a', files)
    let isSilent = false
    const { tier } = over(() => (isSilent ? new Promise<never>(() => undefined) : undefined))
    await tier.actions.get(scope, action('b'))
    isSilent = true
    const control = new AbortController()
    const asking = tier.actions.get(scope, wanted, control.signal)
    const reading = tier.blobs.read(scope, digestOf(small), { signal: control.signal })
    const streaming = tier.blobs.read(scope, digestOf(large), { signal: control.signal })
    control.abort(new Error('enough'))
    for (const waiting of [asking, reading, streaming]) await expect(waiting).rejects.toThrow('enough')
    const again = gives(tier, small)
    await tier[Symbol.asyncDispose]()
    expect(await again).toBeUndefined()
    expect(events.filter(({ kind }) => kind === 'fault')).toEqual([])
  })
})

describe('where near can keep nothing', () => {
  test('what is far is read all the same', async () => {
    await keepResult(kept, 'a', files)
    near.isFull = true
    const { tier, far } = over()
    await tier.actions.get(scope, wanted)
    expect(await batch(tier, files)).toEqual([true, true, true])
    expect(await standsIn(tier, 'a', files)).toBe('hit')
    await tier.flush(PATIENT_MS)
    expect(await near.actions.get(scope, wanted)).toMatchObject({ kind: 'miss' })
    expect(far.calls.length).toBeLessThan(20)
  })

  test('a large blob that breaks off ends as one that is damaged', async () => {
    near.isFull = true
    await keepBlob(kept, large)
    const far = watchedEnd(kept)
    far.blobs.read = async () => ({
      async *[Symbol.asyncIterator]() {
        yield large.subarray(0, 1000)
        throw new CacheError('remote.unreachable', 'broke off')
      },
      async [Symbol.asyncDispose]() {},
    })
    const tier = tierOver(far)
    const bytes = await tier.blobs.read(scope, digestOf(large))
    const reading = (async () => {
      for await (const _ of bytes ?? []);
    })()
    await expect(reading).rejects.toMatchObject({ code: 'store.corrupt' })
  })
})

test('what was fetched and has gone from near since is fetched again', async () => {
  await keepBlob(kept, small)
  await keepBlob(kept, large)
  const { tier } = over()
  for (const bytes of [small, large]) {
    expect(await gives(tier, bytes)).toBe(true)
    await tier.flush(PATIENT_MS)
    near.lost.add(digestOf(bytes).hash)
    expect(await gives(tier, bytes)).toBe(true)
    expect(await gives(near, bytes)).toBe(true)
  }
})

describe('many blobs', () => {
  const many = Array.from({ length: 12_500 }, (_, i) => Buffer.from(`blob ${i}`))

  test('come in groups, four of them ahead of who reads, each under its own number', async () => {
    for (const bytes of many) await keepBlob(kept, bytes)
    for (const i of [0, 7000]) await keepBlob(near, many[i] as Buffer)
    const held = gate()
    const { tier, far } = over((call) => (call === 'readBatch' ? held.pass() : undefined))
    const reading = batch(tier, many)
    await expect.poll(() => far.calls).toHaveLength(4)
    held.open()
    expect((await reading).every((isRight) => isRight)).toBe(true)
    expect(far.calls).toHaveLength(5)
    await tier.flush(PATIENT_MS)
    // As when they come right after near was asked.
    const { readBatch } = near.blobs
    near.blobs.readBatch = async function* (_scope, digests) {
      near.blobs.readBatch = readBatch
      for (const index of digests.keys()) yield { index, bytes: undefined }
    }
    expect((await batch(tier, many.slice(1, 6999))).every((isRight) => isRight)).toBe(true)
    expect(far.calls).toHaveLength(5)
  })

  test('are as many to a group as make four mebibytes', () => {
    const sizes = [3 << 20, 1 << 20, 1, 4 << 20, 9 << 20, 2, 2]
    const digests = sizes.map((sizeBytes) => ({ hash: '', sizeBytes }))
    const groups = [...groupsOf(digests)].map(({ from, group }) => [from, group.map(({ sizeBytes }) => sizeBytes)])
    expect(groups).toEqual([
      [0, [3 << 20, 1 << 20]],
      [2, [1]],
      [3, [4 << 20]],
      [4, [9 << 20]],
      [5, [2, 2]],
    ])
    expect([...groupsOf([])]).toEqual([])
  })

  test('may come in bytes that the end uses again', async () => {
    const contents = files.slice(0, 2).map((bytes) => bytes.subarray(0, 1000))
    for (const bytes of contents) await keepBlob(kept, bytes)
    const far = watchedEnd(kept)
    const buffer = Buffer.alloc(1000)
    far.blobs.readBatch = async function* () {
      for (const [index, bytes] of contents.entries()) {
        buffer.set(bytes)
        yield { index, bytes: buffer }
      }
      buffer.fill(0)
    }
    expect(await batch(tierOver(far), contents)).toEqual([true, true])
  })
})

test('what is read is kept near by the time that all has settled', async () => {
  await keepBlob(kept, small)
  const held = gate()
  const { write } = near.blobs
  near.blobs.write = async (...asked) => {
    await held.pass()
    return write(...asked)
  }
  const { tier } = over()
  expect(await gives(tier, small)).toBe(true)
  let isSettled = false
  const settling = tier.flush(PATIENT_MS).then(() => {
    isSettled = true
  })
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  expect(isSettled).toBe(false)
  held.open()
  await settling
  expect(await gives(near, small)).toBe(true)
})

test('what earlier processes left to be uploaded is sent where the far end was asked for something', async () => {
  const earlier = over(unreachable).tier
  await keepResult(earlier, 'a', files)
  expect(await earlier.flush(PATIENT_MS)).toEqual({ uploads: 1, downloads: 0 })
  const { tier } = over()
  await tier.actions.get(scope, action('b'))
  expect(await tier.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
  expect(await standsIn(kept, 'a', files)).toBe('hit')
})

test('a large blob on its way is waited for by those who share its bytes with the workspace', async () => {
  await keepResult(kept, 'a', [large])
  const held = gate()
  const far = watchedEnd(kept, (call) => (call === 'read' ? held.pass() : undefined))
  const files: BlobFiles = {
    place: async (_scope, digest) => ((await near.blobs.missing(scope, [digest])).length === 0 ? 'cloned' : undefined),
    ingestFile: async () => undefined,
  }
  const tier = tierOver(far, {}, { ...near, files })
  const place = () => tier.files?.place(scope, digestOf(large), '/nowhere', { isExecutable: false })
  expect(await place()).toBeUndefined()
  await tier.actions.get(scope, wanted)
  await held.isReached
  const placing = place()
  held.open()
  expect(await placing).toBe('cloned')
})

test('a selection is pulled, with what came of it', async () => {
  await keepResult(kept, 'there', files)
  await keepResult(near, 'here', files.slice(0, 1))
  const { tier } = over(undefined, { fetch: 'asked' })
  const report = await tier.pull(scope, ['here', 'there', 'nowhere'].map(action))
  expect(report).toEqual({ actions: 2, blobs: 2, bytes: 3_070_000, absent: [action('nowhere')], failed: [] })
  expect(await standsIn(near, 'there', files)).toBe('hit')
  const broken = await over(unreachable).tier.pull(scope, [action('x')])
  expect(broken).toMatchObject({ actions: 0, failed: [{ action: action('x'), error: { code: 'remote.unreachable' } }] })
})

test('of three levels each has afterwards what was found in the last', async () => {
  const [first, second, third]: MemoryStore[] = [memoryStore(), memoryStore(), memoryStore()] as const
  if (first === undefined || second === undefined || third === undefined) return
  await keepResult(third, 'a', files)
  const middle = used.use(tiered(second, async () => third, { place: 'third' }))
  const whole = used.use(tiered(first, async () => middle, { place: 'second' }))
  expect(await whole.actions.get(scope, wanted)).toMatchObject({ kind: 'hit', place: 'third' })
  expect(await standsIn(whole, 'a', files)).toBe('hit')
  for (const level of [whole, middle]) expect(await level.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
  for (const store of [first, second]) expect(await standsIn(store, 'a', files)).toBe('hit')
  await keepResult(whole, 'b', files)
  for (const level of [whole, middle]) expect(await level.flush(PATIENT_MS)).toEqual(NOTHING_LEFT)
  for (const store of [second, third]) expect(await standsIn(store, 'b', files)).toBe('hit')
})
