import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { action, actionStoreContract, result } from '../action-store.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { content } from '../content.fixture.ts'
import { type ActionStore, type BlobStore, type Ingest, DEFAULT_SCOPE as scope } from '../contracts.ts'
import { type LocalStore, openLocalStore } from '../local/local-store.ts'
import { readWhole } from '../read-whole.ts'
import { type CachedOptions, type CachedStore, cached } from './cached-store.ts'
import { LONGEST_MS, TRUSTED_MS } from './freshness.ts'
import type { MemoryState } from './memory-pressure.ts'

interface Opened extends AsyncDisposable {
  readonly inner: LocalStore
  readonly store: CachedStore
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
  readonly dir: string
}

async function open(options: CachedOptions = {}): Promise<Opened> {
  const dir = mkdtempSync(join(tmpdir(), 'recue-cached-'))
  const inner = await openLocalStore({ dir })
  const store = cached(inner, options)
  return {
    ...{ inner, store, dir, blobs: store.blobs, actions: store.actions },
    async [Symbol.asyncDispose]() {
      store[Symbol.dispose]()
      await inner[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

for (const [name, options] of Object.entries({
  'cached(local)': {},
  'cached(local), with no room': { memoryBytes: 0 },
})) {
  blobStoreContract(name, () => open(options))
  actionStoreContract(name, () => open(options))
}

const IDLE: MemoryState = { limitBytes: 2 ** 32, availableBytes: 2 ** 31, stalled: 0 }
let nowMs = 0
let opened: Opened
beforeEach(async () => {
  nowMs = 1000
  opened = await open({ memoryBytes: 1 << 20, memory: () => IDLE, now: () => nowMs })
})
afterEach(() => opened[Symbol.asyncDispose]())

async function keep(bytes: Uint8Array): Promise<Digest> {
  await opened.blobs.write(scope, digestOf(bytes), bytes)
  return digestOf(bytes)
}

const exitCodeOf = async (store: { actions: ActionStore }, name = 'a') => {
  const lookup = await store.actions.get(scope, action(name))
  return lookup.kind === 'hit' ? lookup.result.exitCode : lookup.why
}

describe('action results', () => {
  test('asked for again, the very same answer is given, with nobody asked below', async () => {
    await opened.actions.put(scope, action('a'), result([]))
    const first = await opened.actions.get(scope, action('a'))
    expect(await opened.actions.get(scope, action('a'))).toBe(first)
    // Told to nobody: the wrapper's own way would forget it.
    await opened.inner.actions.remove(scope, action('a'))
    expect(await opened.actions.get(scope, action('a'))).toBe(first)
  })

  test('what this process puts or removes is seen at once', async () => {
    for (const exitCode of [1, 2]) {
      await opened.actions.put(scope, action('a'), { ...result([]), exitCode })
      expect(await exitCodeOf(opened)).toBe(exitCode)
    }
    expect(await opened.actions.remove(scope, action('a'))).toBe(true)
    expect(await exitCodeOf(opened)).toBe('absent')
  })

  test('what somebody else does is seen after the time of trust', async () => {
    await using other = await openLocalStore({ dir: opened.dir })
    await opened.actions.put(scope, action('a'), { ...result([]), exitCode: 1 })
    expect(await exitCodeOf(opened)).toBe(1)
    await other.actions.put(scope, action('a'), { ...result([]), exitCode: 2 })
    nowMs += TRUSTED_MS - 1
    expect(await exitCodeOf(opened)).toBe(1)
    nowMs += 1
    expect(await exitCodeOf(opened)).toBe(2)
    await other.actions.remove(scope, action('a'))
    nowMs += TRUSTED_MS
    expect(await exitCodeOf(opened)).toBe('absent')
  })

  test('what a collection of this process takes away is seen after the time of trust', async () => {
    const digest = await keep(content(100, 1))
    await opened.actions.put(scope, action('a'), result([digest]))
    expect(await exitCodeOf(opened)).toBe(0)
    await opened.inner.catalog.collect({ targetBytes: 0 })
    nowMs += TRUSTED_MS
    expect(await exitCodeOf(opened)).toBe('absent')
  })

  test('with nothing changed, it is asked for below again only when it is old', async () => {
    await opened.actions.put(scope, action('a'), result([]))
    const first = await opened.actions.get(scope, action('a'))
    nowMs += LONGEST_MS - 1
    expect(await opened.actions.get(scope, action('a'))).toBe(first)
    nowMs += 1
    const second = await opened.actions.get(scope, action('a'))
    expect(second).toEqual(first)
    expect(second).not.toBe(first)
  })

  test('an answer that was read while a put ended is not remembered', async () => {
    await opened.actions.put(scope, action('a'), { ...result([]), exitCode: 1 })
    const held = holding(opened.inner.actions)
    using store = cached({ ...opened.inner, actions: held.actions }, { memory: () => IDLE, now: () => nowMs })
    const early = store.actions.get(scope, action('a'))
    await held.asked
    await store.actions.put(scope, action('a'), { ...result([]), exitCode: 2 })
    held.release()
    expect(await early).toMatchObject({ result: { exitCode: 1 } })
    expect(await exitCodeOf(store)).toBe(2)
  })

  test('a caller who has given up is not answered from memory either', async () => {
    await opened.actions.put(scope, action('a'), result([]))
    await opened.actions.get(scope, action('a'))
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(opened.actions.get(scope, action('a'), aborted)).rejects.toThrow('enough')
  })

  test('of many, the one that is used again and again stays in memory', async () => {
    await using small = await open({ memoryBytes: 20_000, memory: () => IDLE, now: () => nowMs })
    await small.actions.put(scope, action('hot'), result([]))
    const first = await small.actions.get(scope, action('hot'))
    for (let i = 0; i < 100; i++) {
      await small.actions.put(scope, action(`${i}`), result([]))
      await small.actions.get(scope, action(`${i}`))
      expect(await small.actions.get(scope, action('hot'))).toBe(first)
    }
  })

  test('a result that became too large to be held is not answered as it was', async () => {
    await opened.actions.put(scope, action('a'), result([]))
    await opened.actions.get(scope, action('a'))
    await using other = await openLocalStore({ dir: opened.dir })
    await other.actions.put(scope, action('a'), { ...result([]), stdoutRaw: Buffer.alloc(100_000, 'x') })
    nowMs += TRUSTED_MS
    for (let i = 0; i < 2; i++) {
      const lookup = await opened.actions.get(scope, action('a'))
      expect(lookup.kind === 'hit' && lookup.result.stdoutRaw.length).toBe(100_000)
    }
  })

  test('another size under the same hash is another action', async () => {
    await opened.actions.put(scope, action('a'), result([]))
    await opened.actions.get(scope, action('a'))
    const other = { ...action('a'), sizeBytes: action('a').sizeBytes + 1 }
    expect(await opened.actions.get(scope, other)).toEqual({ kind: 'miss', why: 'absent' })
  })
})

describe('blobs', () => {
  test('a small one that was read is given from memory, one that is large is not held', async () => {
    const small = await keep(content(3000, 1))
    const large = await keep(content(200_000, 2))
    await readWhole(opened.blobs, scope, small)
    const { heldBytes, entries } = opened.store.usage()
    expect(entries).toBe(1)
    expect(heldBytes).toBeGreaterThanOrEqual(3000)
    await readWhole(opened.blobs, scope, large)
    expect(opened.store.usage()).toMatchObject({ heldBytes, entries })
  })

  test('a large one passes through a batch without being held', async () => {
    const large = await keep(content(65_000, 2))
    for await (const { bytes } of opened.blobs.readBatch(scope, [large])) expect(bytes).toHaveLength(65_000)
    expect(opened.store.usage().entries).toBe(1)
    const larger = await keep(content(65_537, 3))
    for await (const { bytes } of opened.blobs.readBatch(scope, [larger])) expect(bytes).toHaveLength(65_537)
    expect(opened.store.usage().entries).toBe(1)
  })

  test('one that was had long ago is read below again, which says there that it is in use', async () => {
    const digest = await keep(content(3000, 1))
    const asked: string[] = []
    const blobs: BlobStore & Ingest = {
      ...opened.inner.blobs,
      readBatch(inScope, digests, signal) {
        asked.push(...digests.map(({ hash }) => hash))
        return opened.inner.blobs.readBatch(inScope, digests, signal)
      },
    }
    using store = cached({ ...opened.inner, blobs }, { memory: () => IDLE, now: () => nowMs })
    for (const waitMs of [0, LONGEST_MS - 1, 1, 0]) {
      nowMs += waitMs
      expect(await readWhole(store.blobs, scope, digest)).toHaveLength(3000)
    }
    expect(asked).toEqual([digest.hash, digest.hash])
  })

  test('another size under the same hash is another blob', async () => {
    const digest = await keep(content(3000, 1))
    await readWhole(opened.blobs, scope, digest)
    expect(await readWhole(opened.blobs, scope, { ...digest, sizeBytes: 2999 })).toBeUndefined()
  })

  test('in a batch, those in memory and those below each come under their own index', async () => {
    const contents = [1, 2, 3, 4].map((seed) => content(500 * seed, seed))
    const digests = await Promise.all(contents.map(keep))
    await readWhole(opened.blobs, scope, digests[2] as Digest)
    await readWhole(opened.blobs, scope, digests[0] as Digest)
    const found: (Uint8Array | undefined)[] = []
    for await (const { index, bytes } of opened.blobs.readBatch(scope, digests))
      found[index] = bytes && Uint8Array.from(bytes)
    expect(found).toEqual(contents.map((bytes) => Uint8Array.from(bytes)))
  })

  test('the bytes held are a copy', async () => {
    const bytes = content(3000, 1)
    const digest = await keep(bytes)
    for await (const entry of opened.blobs.readBatch(scope, [digest])) entry.bytes?.fill(0)
    expect(await readWhole(opened.blobs, scope, digest)).toEqual(Uint8Array.from(bytes))
  })
})

describe('memory', () => {
  it('holds no more than its budget, whatever is asked for', async () => {
    await using small = await open({ memoryBytes: 50_000, memory: () => IDLE })
    for (let i = 0; i < 100; i++) {
      const bytes = content(1 + i * 37, i)
      await small.blobs.write(scope, digestOf(bytes), bytes)
      await readWhole(small.blobs, scope, digestOf(bytes))
      await small.actions.put(scope, action(`${i}`), result([digestOf(bytes)]))
      await small.actions.get(scope, action(`${i}`))
      expect(small.store.usage().heldBytes).toBeLessThanOrEqual(50_000)
    }
    expect(small.store.usage().heldBytes).toBeGreaterThan(40_000)
    for (let i = 0; i < 100; i++) expect(await exitCodeOf(small, `${i}`)).toBe(0)
  })

  it('gives back under pressure, and takes again when there is none', async () => {
    let state = IDLE
    await using pressed = await open({ memoryBytes: 1 << 20, memory: () => state })
    for (let i = 0; i < 50; i++) {
      const bytes = content(10_000, i)
      await pressed.blobs.write(scope, digestOf(bytes), bytes)
      await readWhole(pressed.blobs, scope, digestOf(bytes))
    }
    const before = pressed.store.usage().heldBytes
    state = { ...IDLE, availableBytes: 0 }
    pressed.store.adjust()
    expect(pressed.store.usage().heldBytes).toBeLessThanOrEqual(before / 2)
    for (let i = 0; i < 30; i++) pressed.store.adjust()
    expect(pressed.store.usage()).toMatchObject({ heldBytes: 0, entries: 0 })
    state = IDLE
    for (let i = 0; i < 10; i++) pressed.store.adjust()
    expect(pressed.store.usage().limitBytes).toBe(1 << 20)
  })
})

/** A store whose first look-up is answered when told, with what was there when it was asked. */
function holding(inner: ActionStore) {
  const asked = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  let isFirst = true
  const actions: ActionStore = {
    async get(...args) {
      const answer = await inner.get(...args)
      if (!isFirst) return answer
      isFirst = false
      asked.resolve()
      await released.promise
      return answer
    },
    put: (...args) => inner.put(...args),
    remove: (...args) => inner.remove(...args),
  }
  return { actions, asked: asked.promise, release: () => released.resolve() }
}
