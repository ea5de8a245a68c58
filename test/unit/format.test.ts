import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Digest } from '../../src/digest/digest.ts'
import { digestOf } from '../../src/digest/sha256.ts'
import { ActionResult } from '../../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, result } from '../../src/store/action-store.contract.ts'
import { content } from '../../src/store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../src/store/contracts.ts'
import { type LocalStoreOptions, openLocalStore } from '../../src/store/local/local-store.ts'
import { readFolder } from '../fixtures/format-reader.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-format-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const SIZES = [1, 100, 512, 513, 4_000, 70_000, 300_000, 1_500_000, 3_000_001]

/** Blobs of all kinds, results that name them, some replaced, some removed. */
async function filled(options: Omit<LocalStoreOptions, 'dir'>): Promise<Map<string, Uint8Array>> {
  await using store = await openLocalStore({ ...options, dir })
  const blobs = new Map(SIZES.map((size, seed) => content(size, seed)).map((bytes) => [digestOf(bytes).hash, bytes]))
  const digests = await Promise.all(
    [...blobs.values()].map(async (bytes): Promise<Digest> => {
      await store.blobs.write(scope, digestOf(bytes), bytes)
      return digestOf(bytes)
    }),
  )
  await store.actions.put(scope, action('a'), result(digests))
  await store.actions.put(scope, action('b'), result(digests.slice(0, 3)))
  await store.actions.put(scope, action('b'), { ...result(digests.slice(3)), exitCode: 7 })
  await store.actions.put({ instance: 'team é' }, action('c'), result([]))
  await store.actions.put(scope, action('gone'), result([]))
  await store.actions.remove(scope, action('gone'))
  return blobs
}

test.each([
  ['as it comes', {}],
  ['not compressed', { compression: 'off' }],
  ['in chunks', { chunking: 'fastcdc' }],
] as const)('a reader made from docs/format.md alone finds all that is kept: %s', async (_name, options) => {
  const blobs = await filled(options)
  const found = readFolder(dir)
  for (const [hash, bytes] of blobs) expect(found.blobs.get(hash)?.equals(bytes), `${bytes.length} bytes`).toBe(true)
  const nameOf = (name: string, instance = '') => `${action(name).hash}-${action(name).sizeBytes} ${instance}`
  expect([...found.actions.keys()].sort()).toEqual([nameOf('a'), nameOf('b'), nameOf('c', 'team é')].sort())
  expect(ActionResult.decode(found.actions.get(nameOf('b')) as Buffer).exitCode).toBe(7)
})

test('it finds what stands behind damage, as docs/format.md says', async () => {
  await filled({})
  const [name = ''] = readdirSync(join(dir, 'journal'))
  const path = join(dir, 'journal', name)
  const whole = readFileSync(path)
  const before = readFolder(dir)
  // The first pack's body: what is in it is lost, and nothing else.
  writeFileSync(path, whole.fill(0xff, 200, 260))
  const after = readFolder(dir)
  expect(after.blobs.size).toBeLessThan(before.blobs.size)
  expect(after.blobs.size).toBeGreaterThan(0)
  expect([...after.actions.keys()]).toEqual([...before.actions.keys()])
})

test('the folder of a newer format is refused and left as it is', async () => {
  await filled({})
  writeFileSync(join(dir, 'FORMAT'), 'recue cache, format 2\n')
  await expect(openLocalStore({ dir })).rejects.toMatchObject({ code: 'store.newer-format' })
  expect(readFileSync(join(dir, 'FORMAT'), 'utf8')).toBe('recue cache, format 2\n')
})
