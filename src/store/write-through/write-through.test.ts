import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { asActionDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { actionStoreContract } from '../action-store.contract.ts'
import { blobNamesContract } from '../blob-names.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { content } from '../content.fixture.ts'
import { type BlobStore, type Ingest, DEFAULT_SCOPE as scope } from '../contracts.ts'
import { framesContract } from '../frames.contract.ts'
import { openLocalStore } from '../local/local-store.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { type WriteThroughStore, writeThrough } from './write-through.ts'

/** What all servers share. */
function farEnd(): RemoteEnd & { isDown: boolean } {
  const { blobs, actions, names } = memoryStore()
  const far = {
    isDown: false,
    blobs: new Proxy(blobs, {
      get: (target, name) => {
        if (far.isDown) throw new CacheError('remote.unreachable', 'far is down')
        const member = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    }),
    ...{ actions, names },
    [Symbol.asyncDispose]: async () => undefined,
  }
  return far
}

async function serverOver(far: RemoteEnd): Promise<WriteThroughStore> {
  const dir = mkdtempSync(join(tmpdir(), 'recue-through-'))
  const near = await openLocalStore({ dir })
  const store = writeThrough(near, far, { place: 'far' })
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await near[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true })
    },
  }
}

const open = () => serverOver(farEnd())
blobStoreContract('write-through', open)
actionStoreContract('write-through', open)
framesContract('write-through', open)
blobNamesContract('write-through', open)

const SMALL = content(5000, 1)
const LARGE = content(3_000_000, 2)
const ACTION = asActionDigest(digestOf(Buffer.from('an action')))

function resultNaming(...contents: readonly Uint8Array[]): ActionResult {
  const empty = ActionResult.decode(new Uint8Array(0))
  const outputFiles = contents.map((bytes, i) => ({
    ...{ path: `out/${i}`, digest: digestOf(bytes), isExecutable: false, contents: Buffer.alloc(0) },
    nodeProperties: undefined,
  }))
  return { ...empty, outputFiles }
}

test('what one server took, another one has: blobs however they came, by digest and by hash, and results', async () => {
  const far = farEnd()
  await using one = await serverOver(far)
  await using other = await serverOver(far)
  await one.blobs.write(scope, digestOf(SMALL), SMALL)
  await one.blobs.ingest(scope, pieces(LARGE))
  expect(await other.blobs.missing(scope, [digestOf(SMALL), digestOf(LARGE)])).toEqual([])
  await one.actions.put(scope, ACTION, resultNaming(SMALL, LARGE))
  expect((await other.actions.get(scope, ACTION)).kind).toBe('hit')
  expect(await other.names.digestOf(scope, digestOf(SMALL).hash)).toEqual(digestOf(SMALL))
  for (const bytes of [SMALL, LARGE])
    expect(Buffer.compare((await readWhole(other.blobs, scope, digestOf(bytes))) as Uint8Array, bytes)).toBe(0)
})

test('blobs that another server took count for a result that this one is given', async () => {
  const far = farEnd()
  await using one = await serverOver(far)
  await using other = await serverOver(far)
  await one.blobs.write(scope, digestOf(SMALL), SMALL)
  expect(await other.actions.put(scope, ACTION, resultNaming(SMALL))).toBe('new')
  await expect(other.actions.put(scope, ACTION, resultNaming(LARGE))).rejects.toMatchObject({
    code: 'store.incomplete',
  })
})

test('what was fetched once is read here from then on', async () => {
  const far = farEnd()
  await using one = await serverOver(far)
  await using other = await serverOver(far)
  await one.blobs.write(scope, digestOf(SMALL), SMALL)
  await readWhole(other.blobs, scope, digestOf(SMALL))
  far.isDown = true
  expect(await readWhole(other.blobs, scope, digestOf(SMALL))).toBeDefined()
})

test.each([
  ['a small blob', (store: WriteThroughStore) => store.blobs.write(scope, digestOf(SMALL), SMALL)],
  ['a large blob', (store: WriteThroughStore) => store.blobs.write(scope, digestOf(SMALL), pieces(SMALL))],
  ['a blob that nobody has named', (store: WriteThroughStore) => store.blobs.ingest(scope, pieces(SMALL))],
])('%s that cannot be kept far is refused, and is not taken for there afterwards', async (_, write) => {
  const far = farEnd()
  await using server = await serverOver(far)
  far.isDown = true
  await expect(write(server)).rejects.toMatchObject({ code: 'remote.unreachable' })
  far.isDown = false
  expect(await server.blobs.missing(scope, [digestOf(SMALL)])).toEqual([digestOf(SMALL)])
  await write(server)
  expect(await server.blobs.missing(scope, [digestOf(SMALL)])).toEqual([])
})

test('nobody hears that a blob is there only because it is here', async () => {
  const far = farEnd()
  const others = farEnd()
  let nowMs = Date.now()
  const dir = mkdtempSync(join(tmpdir(), 'recue-through-'))
  {
    await using near = await openLocalStore({ dir })
    await using server = writeThrough(near, { ...far, blobs: others.blobs }, { place: 'far', now: () => nowMs })
    await near.blobs.write(scope, digestOf(LARGE), LARGE)
    expect(await server.blobs.missing(scope, [digestOf(LARGE)])).toEqual([digestOf(LARGE)])
    await server.blobs.write(scope, digestOf(SMALL), SMALL)
    others.isDown = true
    // Seen far a moment ago; some time later it is asked for again.
    expect(await server.blobs.missing(scope, [digestOf(SMALL)])).toEqual([])
    nowMs += 11 * 60_000
    await expect(server.blobs.missing(scope, [digestOf(SMALL)])).rejects.toMatchObject({ code: 'remote.unreachable' })
  }
  rmSync(dir, { recursive: true })
})

test('a great many are asked for in parts, and those that were seen are not asked for again when one fails', async () => {
  const asked: number[] = []
  let failing = 3
  const { blobs, actions } = farEnd()
  const counted: BlobStore & Ingest = {
    missing: async (_, digests) => {
      asked.push(digests.length)
      if (asked.length === failing) throw new CacheError('remote.timed-out', 'it took too long')
      return digests.filter(({ sizeBytes }) => sizeBytes === 7)
    },
    read: (...all) => blobs.read(...all),
    readBatch: (...all) => blobs.readBatch(...all),
    write: (...all) => blobs.write(...all),
    ingest: (...all) => blobs.ingest(...all),
  }
  await using server = await serverOver({ blobs: counted, actions, [Symbol.asyncDispose]: async () => undefined })
  const many = Array.from({ length: 2500 }, (_, i) => ({
    hash: `${i}`.padStart(64, '0'),
    sizeBytes: i % 500 === 0 ? 7 : 8,
  }))
  await expect(server.blobs.missing(scope, many)).rejects.toMatchObject({ code: 'remote.timed-out' })
  failing = 0
  const missing = many.filter(({ sizeBytes }) => sizeBytes === 7)
  expect(await server.blobs.missing(scope, many)).toEqual(missing)
  // Of the first two parts those that are missing alone.
  expect(asked).toEqual([1000, 1000, 500, 504])
  expect(await server.blobs.missing(scope, many)).toEqual(missing)
  expect(asked.at(-1)).toBe(5)
})

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
}
