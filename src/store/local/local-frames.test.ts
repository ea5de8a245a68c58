import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { framesContract } from '../frames.contract.ts'
import { openLocalStore } from './local-store.ts'
import { keep, temporaryFolder } from './temporary-store.fixture.ts'

framesContract('local', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'recue-frames-'))
  const store = await openLocalStore({ dir })
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true, force: true })
    },
  }
})

test('a damaged frame is never given out', async () => {
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir })
  const [small, large] = [content(9000, 1), content(3_000_000, 2)]
  const digests = [await keep(store, small), await keep(store, large)]
  for (const path of [...filesIn(join(dir, 'journal')), ...filesIn(join(dir, 'blobs'))]) {
    const bytes = readFileSync(path)
    const at = Math.min(2000, bytes.length >> 1)
    bytes[at] = (bytes[at] as number) ^ 1
    writeFileSync(path, bytes)
  }
  const given = async (index: number) => {
    const parts: Uint8Array[] = []
    const frame = await store.frames.readFrame(scope, digests[index] as (typeof digests)[0])
    for await (const part of frame ?? []) parts.push(part)
    return frame && parts.length
  }
  expect(await given(0)).toBeUndefined()
  await expect(given(1)).rejects.toMatchObject({ code: 'store.corrupt' })
})

test.each([9000, 2_500_000])(
  'frames of a blob of %i bytes that is there already are not kept once more',
  async (size) => {
    const dir = temporaryFolder(onTestFinished)
    await using store = await openLocalStore({ dir })
    const bytes = content(size, 1)
    const digest = await keep(store, bytes)
    const stored = () =>
      [...filesIn(join(dir, 'journal')), ...filesIn(join(dir, 'blobs'))].map((path) => statSync(path))
    const before = stored()
    await store.frames.writeFrame(scope, digest, zstdCompressSync(bytes))
    expect(stored().map(({ ino, size }) => [ino, size])).toEqual(before.map(({ ino, size }) => [ino, size]))
  },
)

test('a blob in more frames than it is worth is refused', async () => {
  await using store = await openLocalStore({ dir: temporaryFolder(onTestFinished) })
  const bytes = Buffer.alloc(10_001, 'a')
  const frame = zstdCompressSync(bytes.subarray(0, 1), { pledgedSrcSize: 1 })
  const writing = store.frames.writeFrame(scope, digestOf(bytes), Buffer.concat(new Array(10_001).fill(frame)))
  await expect(writing).rejects.toThrow('too many')
})

test('opened for reading, frames are given and none are taken', async () => {
  const dir = temporaryFolder(onTestFinished)
  const bytes = content(9000, 1)
  {
    await using store = await openLocalStore({ dir })
    await keep(store, bytes)
  }
  await using store = await openLocalStore({ dir, readOnly: true })
  expect(await store.frames.readFrame(scope, digestOf(bytes))).toBeDefined()
  const writing = store.frames.writeFrame(scope, digestOf(bytes), new Uint8Array(0))
  await expect(writing).rejects.toMatchObject({ code: 'store.read-only' })
})

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
}
