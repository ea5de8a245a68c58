import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '../../src/digest/sha256.ts'
import { temporaryServer } from '../../src/server/temporary-server.fixture.ts'
import { action, actionStoreContract } from '../../src/store/action-store.contract.ts'
import { blobStoreContract } from '../../src/store/blob-store.contract.ts'
import { content } from '../../src/store/content.fixture.ts'
import { DEFAULT_SCOPE } from '../../src/store/contracts.ts'
import { guarded } from '../../src/store/guarded/guarded.ts'
import { type LocalStore, openLocalStore } from '../../src/store/local/local-store.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'
import { type TieredStore, tiered } from '../../src/store/tiered/tiered.ts'
import { keepResult, standsIn } from '../../src/store/tiered/tiers.fixture.ts'

/** A store on disk before one that is behind a server, as the command has them. */

type Scheme = 'http:' | 'grpc:'

async function localStore(used: AsyncDisposableStack): Promise<LocalStore> {
  const dir = mkdtempSync(path.join(tmpdir(), 'recue-tiers-'))
  used.defer(() => rmSync(dir, { recursive: true, force: true }))
  return used.use(await openLocalStore({ dir }))
}

async function tierOver(used: AsyncDisposableStack, near: LocalStore, url: string): Promise<TieredStore> {
  const end = used.use(guarded(await openRemote(url), { place: url }))
  return used.use(tiered(near, async () => end, { place: url }))
}

const opener = (scheme: Scheme) => async () => {
  const used = new AsyncDisposableStack()
  const server = used.use(await temporaryServer())
  const { blobs, actions } = await tierOver(used, await localStore(used), server.url.replace('http:', scheme))
  return { blobs, actions, [Symbol.asyncDispose]: () => used.disposeAsync() }
}

const UNABLE = { removes: 'the end has no word for it' }

for (const scheme of ['grpc:', 'http:'] as const) {
  blobStoreContract(`tiered(local, ${scheme})`, opener(scheme))
  actionStoreContract(`tiered(local, ${scheme})`, opener(scheme), UNABLE)
}

let used: AsyncDisposableStack
beforeEach(() => {
  used = new AsyncDisposableStack()
})
afterEach(() => used.disposeAsync())

const small = [content(1_000, 1), content(30_000, 2)]
const files = [...small, content(3_000_000, 3)]

test.each(['grpc:', 'http:'] as const)('what one machine keeps another has, by %s', async (scheme) => {
  const server = used.use(await temporaryServer())
  const [one, other] = [await localStore(used), await localStore(used)]
  const url = server.url.replace('http:', scheme)
  const here = await tierOver(used, one, url)
  await keepResult(here, 'a', files)
  expect(await here.flush(30_000)).toEqual({ uploads: 0, downloads: 0 })
  const there = await tierOver(used, other, url)
  expect(await standsIn(there, 'a', files)).toBe('hit')
  expect(await there.flush(30_000)).toEqual({ uploads: 0, downloads: 0 })
  expect(await standsIn(other, 'a', files)).toBe('hit')
})

test('a hit of small outputs is one round trip, until all of it is near', async () => {
  const calls: string[] = []
  const onRequest = (entry: { readonly path: string }) => void calls.push(entry.path.split('/').at(-1) ?? '')
  const server = used.use(await temporaryServer({ onRequest }))
  const here = await tierOver(used, await localStore(used), server.grpcUrl)
  await keepResult(here, 'a', small)
  await here.flush(30_000)
  await expect.poll(() => calls).toContain('UpdateActionResult')
  calls.length = 0
  const other = await localStore(used)
  const there = await tierOver(used, other, server.grpcUrl)
  expect(await standsIn(there, 'a', small)).toBe('hit')
  await there.flush(30_000)
  expect(await standsIn(other, 'a', small)).toBe('hit')
  await there.actions.get(DEFAULT_SCOPE, action('last'))
  // Both at the same time; and the last one, by which it is known that all before were noted.
  await expect.poll(() => calls.toSorted()).toEqual(['GetActionResult', 'GetActionResult', 'GetCapabilities'])
})

test('a large blob goes from disk to disk as the frames that it lies in', async () => {
  const server = used.use(await temporaryServer())
  const [one, other] = [await localStore(used), await localStore(used)]
  const here = await tierOver(used, one, server.grpcUrl)
  await keepResult(here, 'a', files)
  await here.flush(30_000)
  const there = await tierOver(used, other, server.grpcUrl)
  await there.pull(DEFAULT_SCOPE, [action('a')])
  const frameOf = async (store: LocalStore) => {
    const pieces: Uint8Array[] = []
    for await (const piece of (await store.frames.readFrame(DEFAULT_SCOPE, digestOf(files[2] as Buffer))) ?? [])
      pieces.push(new Uint8Array(piece))
    return Buffer.concat(pieces)
  }
  const frames = await frameOf(one)
  expect(frames.length).toBeGreaterThan(0)
  expect(frames.equals(await frameOf(other))).toBe(true)
})
