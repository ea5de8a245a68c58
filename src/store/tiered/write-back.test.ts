import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError, type ErrorCode } from '../../errors.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { type MemoryStore, memoryStore } from '../memory/memory-store.ts'
import { hearRemote, type RemoteEvent } from './remote-events.ts'
import { type NearTier, type TieredOptions, type TieredStore, tiered } from './tiered.ts'
import { forgetfulStore, gate, gives, keepBlob, keepResult, standsIn } from './tiers.fixture.ts'
import { UploadRecords } from './upload-records.ts'
import { type Before, type WatchedEnd, watchedEnd } from './watched-end.fixture.ts'

let used: AsyncDisposableStack
let near: NearTier
let kept: MemoryStore
let events: RemoteEvent[]
let nowMs: number
beforeEach(() => {
  used = new AsyncDisposableStack()
  near = memoryStore()
  kept = memoryStore()
  events = []
  nowMs = 1_700_000_000_000
  used.use(hearRemote((event) => events.push(event)))
})
afterEach(() => used.disposeAsync())

const files = [content(1000, 1), content(70_000, 2), content(3_000_000, 3)]
const DAY_MS = 24 * 60 * 60 * 1000
const PATIENT_MS = 10_000

/** As each process has one. */
function over(before?: Before, options: Partial<TieredOptions> = {}): { tier: TieredStore; far: WatchedEnd } {
  const far = watchedEnd(kept, before)
  return { far, tier: used.use(tiered(near, async () => far, { place: 'far', now: () => nowMs, ...options })) }
}

const failing = (code: ErrorCode) => () => {
  throw new CacheError(code, 'as the test says')
}

const recorded = () => near.records.names('upload', '')

test('what is put goes far in the background: what is missing there, then the result', async () => {
  await keepBlob(kept, files[1] as Buffer)
  const { tier, far } = over()
  await keepResult(tier, 'a', files)
  expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
  expect(far.calls).toEqual(['missing', 'write', 'write', 'put'])
  expect(await standsIn(kept, 'a', files)).toBe('hit')
  expect(recorded()).toEqual([])
  const moved = events.filter(({ kind }) => kind === 'moved' || kind === 'due')
  expect(moved.map((event) => 'bytes' in event && [event.kind, event.blobs, event.bytes])).toEqual([
    ['due', 2, 3_001_000],
    ['moved', 1, 1000],
    ['moved', 1, 3_000_000],
  ])
})

test('a put is done when it is done near, and says what it found there', async () => {
  const held = gate()
  const { tier } = over(held.pass)
  await keepResult(tier, 'a', files)
  expect(await standsIn(near, 'a', files)).toBe('hit')
  expect(await tier.actions.put(scope, action('a'), { ...result([]), exitCode: 1 })).toBe('different')
  held.open()
})

test('what is not complete near is refused, and not to be uploaded', async () => {
  const { tier, far } = over()
  const putting = tier.actions.put(scope, action('a'), result([await keepBlob(kept, files[0] as Buffer)]))
  await expect(putting).rejects.toMatchObject({ code: 'store.incomplete' })
  expect(recorded()).toEqual([])
  await tier.flush(PATIENT_MS)
  expect(far.calls).toEqual([])
})

test('nothing is uploaded, written down or removed where that is not wanted', async () => {
  const { tier, far } = over(undefined, { write: false })
  await keepResult(tier, 'a', files)
  expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
  expect(await tier.actions.remove(scope, action('a'))).toBe(true)
  await tier.resume()
  expect([far.calls, recorded()]).toEqual([[], []])
})

test('a blob of two results is sent once', async () => {
  const held = gate()
  let writes = 0
  const { tier, far } = over((call) => (call === 'write' && ++writes === 1 ? held.pass() : undefined))
  await keepResult(tier, 'a', files.slice(0, 1))
  await held.isReached
  await keepResult(tier, 'b', files.slice(0, 2))
  await expect.poll(() => far.calls.filter((call) => call === 'missing').length).toBe(2)
  await expect.poll(() => writes).toBe(2)
  expect(far.calls).not.toContain('put')
  held.open()
  expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
  expect(writes).toBe(2)
  expect([await standsIn(kept, 'a', files.slice(0, 1)), await standsIn(kept, 'b', files.slice(0, 2))]).toEqual([
    'hit',
    'hit',
  ])
})

test('a blob that the far end lost meanwhile is sent again', async () => {
  let puts = 0
  const { tier, far } = over((call) => (call === 'put' && ++puts === 1 ? failing('store.incomplete')() : undefined))
  await keepResult(tier, 'a', files.slice(0, 1))
  expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
  expect(far.calls).toEqual(['missing', 'write', 'put', 'missing', 'put'])
})

test('a blob that the far end loses afterwards is sent again with the next result that names it', async () => {
  const forgetful = forgetfulStore()
  const tier = used.use(tiered(near, async () => forgetful, { place: 'far' }))
  for (const name of ['a', 'b']) {
    forgetful.lost.add(digestOf(files[0] as Buffer).hash)
    await keepResult(tier, name, files)
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(await standsIn(forgetful, name, files)).toBe('hit')
  }
})

test('an end that loses blobs again and again is not sent them for ever', async () => {
  const { tier, far } = over((call) => (call === 'put' ? failing('store.incomplete')() : undefined))
  await keepResult(tier, 'a', files.slice(0, 1))
  expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 1, downloads: 0 })
  expect(far.calls).toEqual(['missing', 'write', 'put', 'missing', 'put'])
})

test('many small blobs are read as they are sent, from bytes that are used again, and arrive whole', async () => {
  const many = Array.from({ length: 600 }, (_, i) => content(20_000, i))
  const forgetful = forgetfulStore()
  near = forgetful
  const { readBatch } = forgetful.blobs
  let groups = 0
  const buffer = Buffer.alloc(20_000)
  forgetful.blobs.readBatch = async function* (...asked) {
    groups++
    for await (const { index, bytes } of readBatch(...asked)) {
      if (bytes !== undefined) buffer.set(bytes)
      yield { index, bytes: bytes && buffer }
    }
  }
  const held = gate()
  const { tier, far } = over((call) => (call === 'write' ? held.pass() : undefined))
  await keepResult(tier, 'many', many)
  await held.isReached
  await expect.poll(() => far.calls.filter((call) => call === 'write').length).toBe(418)
  // The third waits for the first to have been sent.
  expect(groups).toBe(2)
  held.open()
  expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
  expect(await standsIn(kept, 'many', many)).toBe('hit')
})

describe('what a process has no time for', () => {
  test('is told, and done by the next one that puts something', async () => {
    const { tier } = over(() => new Promise<never>(() => undefined))
    await keepResult(tier, 'a', files)
    expect(await tier.flush(10)).toEqual({ uploads: 1, downloads: 0 })
    await tier[Symbol.asyncDispose]()
    expect(events.filter(({ kind }) => kind === 'fault')).toEqual([])
    const next = over().tier
    expect(await next.pending()).toEqual({ uploads: 1, downloads: 0 })
    await keepResult(next, 'b', files.slice(0, 1))
    await expect.poll(recorded).toEqual([])
    expect([await standsIn(kept, 'a', files), await standsIn(kept, 'b', files.slice(0, 1))]).toEqual(['hit', 'hit'])
  })

  test('is done by the next one that is asked to, in the order in which it was put', async () => {
    const { tier } = over(failing('remote.unreachable'))
    for (const name of ['a', 'b', 'c']) {
      nowMs++
      await keepResult(tier, name, [Buffer.from(name)])
    }
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 3, downloads: 0 })
    const next = over().tier
    const order: string[] = []
    const { put } = kept.actions
    kept.actions.put = (to, key, ...rest) => {
      order.push(key.hash)
      return put.call(kept.actions, to, key, ...rest)
    }
    await next.resume()
    await next.flush(PATIENT_MS)
    expect(order).toEqual(['a', 'b', 'c'].map((name) => action(name).hash))
    expect(recorded()).toEqual([])
  })

  test('is left to who is at it already', async () => {
    const held = gate()
    const { tier: first } = over((call) => (call === 'put' ? held.pass() : undefined))
    await keepResult(first, 'a', files.slice(0, 1))
    await held.isReached
    const { tier: second, far } = over()
    await second.resume()
    expect(await second.flush(PATIENT_MS)).toEqual({ uploads: 1, downloads: 0 })
    expect(far.calls).toEqual([])
    held.open()
    expect(await first.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
  })

  test('is known to be done where another process has done it meanwhile', async () => {
    const { tier: first } = over()
    await keepResult(over(failing('remote.unreachable')).tier, 'a', files)
    const own = near.leases
    const after = async (name: string) => {
      await first.resume()
      await first.flush(PATIENT_MS)
      return own.tryHold(name)
    }
    const second = watchedEnd(kept)
    const slow = { ...near, leases: { tryHold: after, hold: own.hold.bind(own), heldNames: own.heldNames.bind(own) } }
    const tier = used.use(tiered(slow, async () => second, { place: 'far', now: () => nowMs }))
    await tier.resume()
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(second.calls).toEqual([])
    expect(await standsIn(kept, 'a', files)).toBe('hit')
  })

  test('is done once, though two processes put it', async () => {
    await keepResult(near, 'a', files)
    for (let process = 0; process < 2; process++)
      await new UploadRecords(near.records, 'far', () => nowMs++).add(scope, action('a'))
    expect(recorded()).toHaveLength(2)
    const { tier, far } = over()
    await tier.resume()
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(far.calls.filter((call) => call === 'put')).toHaveLength(1)
  })

  test('is not given up by those who were left while they were at it', async () => {
    for (let process = 0; process < 6; process++) {
      const { tier, far } = over(() => new Promise<never>(() => undefined))
      if (process === 0) await keepResult(tier, 'a', files)
      else await tier.resume()
      await expect.poll(() => far.calls).toEqual(['missing'])
      await tier[Symbol.asyncDispose]()
      expect(recorded()).toHaveLength(1)
    }
  })

  test('is dropped when the result has gone', async () => {
    const { tier } = over(failing('remote.unreachable'))
    await keepResult(tier, 'a', files)
    await tier.flush(PATIENT_MS)
    await near.actions.remove(scope, action('a'))
    const { tier: next, far } = over()
    await next.resume()
    expect(await next.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(far.calls).toEqual([])
  })

  test('is dropped when a blob goes away while it is sent, and nothing of it is seen far', async () => {
    const forgetful = forgetfulStore()
    near = forgetful
    forgetful.blobs.readBatch = async function* (_scope, digests) {
      for (const index of digests.keys()) yield { index, bytes: undefined }
    }
    const { tier, far } = over()
    await keepResult(tier, 'a', files)
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(far.calls).not.toContain('put')
    expect(events.filter(({ kind }) => kind === 'fault')).toEqual([])
    expect(events.filter(({ kind }) => kind === 'lost')).toMatchObject([{ blobs: 3, bytes: 3_071_000 }])
  })

  test('is given up when it is a week old, also what was meant for other places', async () => {
    const { tier } = over(failing('remote.unreachable'))
    await keepResult(tier, 'a', files)
    await keepResult(over(failing('remote.unreachable'), { place: 'elsewhere ü' }).tier, 'b', files)
    await tier.flush(PATIENT_MS)
    nowMs += 6 * DAY_MS
    await keepResult(over(failing('remote.unreachable'), { place: 'elsewhere ü' }).tier, 'c', files)
    nowMs += DAY_MS + 1
    const { tier: next, far } = over()
    await next.resume()
    expect(await next.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(far.calls).toEqual([])
    expect(recorded()).toHaveLength(1)
    expect(recorded()[0]).toContain(action('c').hash)
  })

  test('is given up when the end refuses it for the fifth time', async () => {
    const { tier } = over(failing('remote.failed'))
    await keepResult(tier, 'a', files)
    for (let processes = 1; processes < 5; processes++) {
      expect(recorded()).toHaveLength(1)
      const next = over(failing('remote.failed')).tier
      await next.resume()
      await next.flush(PATIENT_MS)
    }
    await tier.flush(PATIENT_MS)
    expect(recorded()).toEqual([])
  })

  test('is bounded in number: the oldest are given up', async () => {
    const names = Array.from({ length: 10_003 }, (_, i) => `far ${(nowMs + i).toString(36).padStart(9, '0')} ${i} 1 `)
    for (const name of names) await near.records.save('upload', name, Buffer.of(0))
    for (const nonsense of ['nonsense', `${names[0]}%E0`, 'far ! h 1 ', 'far 1 h x '])
      await near.records.save('upload', nonsense, Buffer.of(0))
    const left = await new UploadRecords(near.records, 'far', () => nowMs).left()
    expect(left.map(({ action: { hash } }) => hash)).toEqual(names.slice(3).map((_, i) => `${i + 3}`))
    expect(recorded()).toEqual(names.slice(3))
  })
})

describe('an end that cannot be reached', () => {
  test('is left alone for half a minute, and then given all that was put meanwhile', async () => {
    let isAway = true
    const { tier, far } = over(() => {
      if (isAway) failing('remote.unreachable')()
    })
    await keepResult(tier, 'a', files.slice(0, 1))
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 1, downloads: 0 })
    isAway = false
    nowMs += 29_999
    await keepResult(tier, 'b', files.slice(0, 2))
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 2, downloads: 0 })
    expect(far.calls).toEqual(['missing'])
    nowMs += 1
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect([await gives(kept, files[1] as Buffer), await standsIn(kept, 'a', files.slice(0, 1))]).toEqual([true, 'hit'])
  })

  test('is told of', async () => {
    const { tier } = over(failing('remote.denied'))
    await keepResult(tier, 'a', files)
    await tier.flush(PATIENT_MS)
    const fault = { kind: 'fault', place: 'far', during: 'upload', error: { code: 'remote.denied' } }
    expect(events.filter(({ kind }) => kind === 'fault')).toMatchObject([fault])
  })
})

describe('what is removed', () => {
  test('is removed far as well, or it would come back', async () => {
    const { tier } = over()
    await keepResult(tier, 'a', files)
    await tier.flush(PATIENT_MS)
    expect(await tier.actions.remove(scope, action('a'))).toBe(true)
    expect(await tier.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
    expect(await kept.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
  })

  test('does not appear far afterwards', async () => {
    const held = gate()
    const { tier, far } = over((call) => (call === 'write' ? held.pass() : undefined))
    await keepResult(tier, 'a', files.slice(0, 1))
    await held.isReached
    await tier.actions.remove(scope, action('a'))
    held.open()
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(far.calls).not.toContain('put')
  })

  test('is not sent when it waits for its turn', async () => {
    const held = gate()
    const { tier, far } = over(held.pass)
    for (const name of ['a', 'b', 'c', 'd', 'last']) await keepResult(tier, name, files.slice(0, 1))
    await held.isReached
    const removing = tier.actions.remove(scope, action('last'))
    await expect.poll(recorded).toHaveLength(4)
    held.open()
    await removing
    expect(await tier.flush(PATIENT_MS)).toEqual({ uploads: 0, downloads: 0 })
    expect(far.calls.filter((call) => call === 'put')).toHaveLength(4)
  })
})

test('a selection is pushed, with what came of it', async () => {
  await keepResult(near, 'here', files)
  await keepResult(near, 'there', files.slice(0, 1))
  await keepResult(kept, 'there', files.slice(0, 1))
  const { tier } = over()
  const report = await tier.push(scope, ['here', 'there', 'nowhere'].map(action))
  expect(report).toEqual({ actions: 2, blobs: 2, bytes: 3_070_000, absent: [action('nowhere')], failed: [] })
  expect(await standsIn(kept, 'here', files)).toBe('hit')
  const broken = await over(failing('remote.failed')).tier.push(scope, [action('here')])
  expect(broken).toMatchObject({ actions: 0, failed: [{ action: action('here'), error: { code: 'remote.failed' } }] })
  const aborted = tier.push(scope, [action('here')], AbortSignal.abort(new Error('enough')))
  await expect(aborted).rejects.toThrow('enough')
})
