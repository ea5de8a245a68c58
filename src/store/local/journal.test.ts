import { appendFileSync, readdirSync, statSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { layoutOf, segmentPath } from './layout.ts'
import { openLocalStore } from './local-store.ts'
import { gives, keep, kill, otherProcess, temporaryFolder } from './temporary-store.fixture.ts'

it('a process goes on in the segment of the one before', async () => {
  const dir = temporaryFolder(onTestFinished)
  for (let i = 0; i < 3; i++) {
    await using store = await openLocalStore({ dir })
    await keep(store, content(1000, i))
  }
  expect(readdirSync(layoutOf(dir).journal)).toHaveLength(1)
  await using store = await openLocalStore({ dir })
  for (let i = 0; i < 3; i++) expect(await gives(store, content(1000, i))).toBe(true)
})

it('writers at the same time have a segment each, and see what the others wrote', async () => {
  const dir = temporaryFolder(onTestFinished)
  const write = (first: number) => `
    const store = await openLocalStore({ dir })
    for (let round = 0; round < 10; round++)
      await Promise.all(Array.from({ length: 20 }, (_, i) => content(2000, ${first} + round * 20 + i))
        .map((bytes) => store.blobs.write(scope, digestOf(bytes), bytes)))`
  await Promise.all([0, 1000, 2000].map((first) => otherProcess(dir, write(first), onTestFinished)))
  await using store = await openLocalStore({ dir })
  for (const first of [0, 1000, 2000])
    for (let i = 0; i < 200; i++) expect(await gives(store, content(2000, first + i))).toBe(true)
  expect(readdirSync(layoutOf(dir).journal)).toHaveLength(3)
})

it('what a killed process was answered is there; its torn end is cut off by the next writer', async () => {
  const dir = temporaryFolder(onTestFinished)
  const write = `
    const store = await openLocalStore({ dir })
    await store.blobs.write(scope, digestOf(content(5000, 1)), content(5000, 1))
    await store.blobs.write(scope, digestOf(content(3_000_000, 2)), content(3_000_000, 2))`
  await kill(await otherProcess(dir, write, onTestFinished))
  const path = segmentPath(layoutOf(dir), 1)
  const whole = statSync(path).size
  appendFileSync(path, Buffer.concat([Buffer.from('RCU1'), content(500, 3)]))
  await using store = await openLocalStore({ dir })
  expect(await gives(store, content(5000, 1))).toBe(true)
  expect(await gives(store, content(3_000_000, 2))).toBe(true)
  await keep(store, content(10, 4))
  expect(readdirSync(layoutOf(dir).journal)).toHaveLength(1)
  expect(statSync(path).size).toBeLessThan(whole + 500)
  expect(await gives(store, content(10, 4))).toBe(true)
})

it('a large blob of a writer killed before its end leaves nothing behind', async () => {
  const dir = temporaryFolder(onTestFinished)
  const write = `
    const store = await openLocalStore({ dir })
    let wake
    const half = new Promise((resolve) => { wake = resolve })
    async function* bytes() { for (let i = 0; i < 6; i++) yield content(1_000_000, i); wake(); await new Promise(() => setTimeout(() => {}, 1e9)) }
    store.blobs.ingest(scope, bytes())
    await half`
  const child = await otherProcess(dir, write, onTestFinished)
  expect(readdirSync(layoutOf(dir).tmp)).toHaveLength(1)
  {
    await using alive = await openLocalStore({ dir })
    await keep(alive, content(10, 1))
    expect(readdirSync(layoutOf(dir).tmp)).toHaveLength(1)
  }
  await kill(child)
  await using store = await openLocalStore({ dir })
  await keep(store, content(10, 2))
  expect(readdirSync(layoutOf(dir).tmp)).toEqual([])
})

it('an action result put by one process is a hit in another that was open before', async () => {
  const dir = temporaryFolder(onTestFinished)
  await using reader = await openLocalStore({ dir })
  expect(await reader.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
  await using writer = await openLocalStore({ dir })
  const digest = await keep(writer, content(1000, 1))
  await writer.actions.put(scope, action('a'), result([digest]))
  expect(await reader.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
  expect(await reader.blobs.missing(scope, [digest, digestOf(content(1, 1))])).toHaveLength(1)
})
