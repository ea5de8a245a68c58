import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { CHUNK_BYTES } from './large-blob-writer.ts'
import { type LocalStore, type LocalStoreOptions, openLocalStore } from './local-store.ts'
import { keep, temporaryFolder } from './temporary-store.fixture.ts'

const BLOB = content(5 * CHUNK_BYTES + 77, 2)
const DIGEST = digestOf(BLOB)

describe.each([
  ['compressed', {}],
  ['raw', { compression: 'off' }],
] satisfies [string, Partial<LocalStoreOptions>][])('a large blob, %s', (_, options) => {
  it('gives any range over the borders of chunks', async () => {
    const { store } = await opened(options)
    await keep(store, BLOB)
    const place = fc
      .tuple(fc.nat(6), fc.integer({ min: -2, max: 2 }), fc.nat(CHUNK_BYTES))
      .map(([chunk, by, within]) => Math.max(0, chunk * CHUNK_BYTES + (within % 3 === 0 ? within : by)))
    await fc.assert(
      fc.asyncProperty(place, place, async (a, b) => {
        const [offset, end] = [Math.min(a, b), Math.max(a, b)]
        const parts: Uint8Array[] = []
        for await (const part of (await store.blobs.read(scope, DIGEST, { offset, length: end - offset })) ?? [])
          parts.push(Buffer.from(part))
        expect(Buffer.concat(parts).equals(BLOB.subarray(offset, end))).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  it('is read no further than a slow consumer has come, but for the next chunk', async () => {
    const { store, dir } = await opened(options)
    await keep(store, BLOB)
    const before = bytesRead()
    const read = await store.blobs.read(scope, DIGEST)
    const iterator = read?.[Symbol.asyncIterator]()
    await iterator?.next()
    for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve))
    if (before !== undefined) expect(Number(bytesRead()) - before).toBeLessThan(3 * CHUNK_BYTES)
    await read?.[Symbol.asyncDispose]()
    expect(openIn(dir)).toEqual([])
  })

  it('is let go of when its reader leaves, throws, is aborted, or never begins', async () => {
    const { store, dir } = await opened(options)
    await keep(store, BLOB)
    const control = new AbortController()
    const whole = async (each: () => void, signal?: AbortSignal) => {
      for await (const _ of (await store.blobs.read(scope, DIGEST, signal && { signal })) ?? []) each()
    }
    await whole(() => undefined)
    expect(openIn(dir)).toEqual([])
    for await (const _ of (await store.blobs.read(scope, DIGEST)) ?? []) break
    expect(openIn(dir)).toEqual([])
    const failing = whole(() => {
      throw new Error('the disk of the reader is full')
    })
    await expect(failing).rejects.toThrow('of the reader')
    expect(openIn(dir)).toEqual([])
    await expect(whole(() => control.abort(new Error('enough')), control.signal)).rejects.toThrow('enough')
    expect(openIn(dir)).toEqual([])
    const never = await store.blobs.read(scope, DIGEST)
    if (process.platform === 'linux') expect(openIn(dir)).toHaveLength(1)
    await never?.[Symbol.asyncDispose]()
    expect(openIn(dir)).toEqual([])
  })
})

it('a slow store holds back the source of a large blob', async () => {
  const { store } = await opened({})
  let given = 0
  let most = 0
  let taken = 0
  async function* source(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 40; i++) {
      given += CHUNK_BYTES
      most = Math.max(most, given - taken)
      yield content(CHUNK_BYTES, i)
      taken += CHUNK_BYTES
    }
  }
  const digest = await store.blobs.ingest(scope, source())
  expect(digest.sizeBytes).toBe(40 * CHUNK_BYTES)
  expect(most).toBe(CHUNK_BYTES)
})

async function opened(options: Partial<LocalStoreOptions>): Promise<{ store: LocalStore; dir: string }> {
  const dir = temporaryFolder(onTestFinished)
  const store = await openLocalStore({ ...options, dir })
  onTestFinished(() => store[Symbol.asyncDispose]())
  return { store, dir }
}

/** Files below `blobs/` that this process holds open, where the kernel tells. */
function openIn(dir: string): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc/self/fd').flatMap((file) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${file}`)
      return path.startsWith(`${dir}/blobs/`) ? [path] : []
    } catch {
      return []
    }
  })
}

/** By this process until now, where the kernel tells. */
function bytesRead(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const match = /^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))
  return match === null ? undefined : Number(match[1])
}
