import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Cache, openCache } from '../../cache.ts'
import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode } from '../../grpc/status.ts'
import type { GetTreeResponse } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { Directory } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { content } from '../../store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../store/contracts.ts'
import { Called, codeOf } from './called.fixture.ts'
import { casService } from './cas.ts'

let dir: string
let cache: Cache
let called: Called
let faults: unknown[]

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-tree-'))
  cache = await openCache({ cacheDir: dir })
  faults = []
  called = new Called(casService(cache, { onFault: (error) => faults.push(error) }))
})
afterEach(async () => {
  expect(faults).toEqual([])
  await cache.close()
  rmSync(dir, { recursive: true, force: true })
})

const NONE = Directory.decode(new Uint8Array(0))

async function directory(children: readonly Digest[], name = 'd', file = ''): Promise<Digest> {
  const directories = children.map((digest, i) => ({ name: `${name}${i}`, digest }))
  const files =
    file === '' ? [] : [{ name: file, digest: EMPTY_DIGEST, isExecutable: false, nodeProperties: undefined }]
  return keep(Buffer.from(Directory.encode({ ...NONE, directories, files }).finish()))
}

async function keep(bytes: Uint8Array): Promise<Digest> {
  await cache.blobs.write(scope, digestOf(bytes), bytes)
  return digestOf(bytes)
}

const ask = (rootDigest: Digest | undefined, pageSize = 0, pageToken = '') =>
  called.all<GetTreeResponse>('/GetTree', { instanceName: '', rootDigest, pageSize, pageToken, digestFunction: 0 })
const hashes = (pages: readonly GetTreeResponse[]) =>
  pages.flatMap(({ directories }) => directories.map((one) => digestOf(Directory.encode(one).finish()).hash))

/** Names of children by directory: each can only have those after it, as with hashes there is no circle. */
const shape = fc.array(fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }), { minLength: 1, maxLength: 25 })

async function built(children: readonly (readonly number[])[]): Promise<Digest[]> {
  const digests: Digest[] = []
  for (let i = children.length - 1; i >= 0; i--) {
    const below = (children[i] ?? []).map((step) => i + step).filter((at) => at < children.length)
    digests[i] = await directory(
      below.map((at) => digests[at] as Digest),
      `${i}-`,
      `${i}`,
    )
  }
  return digests
}

function reachable(children: readonly (readonly number[])[], digests: readonly Digest[]): Set<string> {
  const found = new Set<number>([0])
  for (const i of found) for (const step of children[i] ?? []) if (i + step < children.length) found.add(i + step)
  return new Set([...found].map((i) => (digests[i] as Digest).hash))
}

it('gives every directory of a tree once, the root first, on pages of any size', async () => {
  await fc.assert(
    fc.asyncProperty(shape, fc.integer({ min: 0, max: 7 }), async (children, pageSize) => {
      const digests = await built(children)
      const pages = await ask(digests[0], pageSize)
      const found = hashes(pages)
      expect(found[0]).toBe(digests[0]?.hash)
      expect(new Set(found)).toEqual(reachable(children, digests))
      expect(found).toHaveLength(new Set(found).size)
      for (const { directories } of pages.slice(0, -1)) expect(directories).toHaveLength(pageSize)
      expect(pages.map(({ nextPageToken }) => nextPageToken === '')).toEqual(pages.map((page) => page === pages.at(-1)))
      for (const [i, { nextPageToken }] of pages.slice(0, -1).entries())
        expect(hashes(await ask(digests[0], 3, nextPageToken))).toEqual(hashes(pages.slice(i + 1)))
    }),
    { numRuns: 25 },
  )
})

it('leaves out what is not there, is no directory, or has no digest', async () => {
  const gone = digestOf(content(20, 1))
  const other = await keep(content(20, 2))
  const odd = { hash: '../../../etc', sizeBytes: 5 }
  const huge = { ...digestOf(content(20, 3)), sizeBytes: 2 ** 40 }
  const leaf = await directory([], 'leaf')
  const middle = await directory([leaf, gone], 'middle')
  const root = await directory([gone, other, odd, huge, middle, EMPTY_DIGEST])
  expect(hashes(await ask(root))).toEqual([root, middle, EMPTY_DIGEST].map(({ hash }) => hash))
  expect(leaf).toEqual(EMPTY_DIGEST)
  expect(hashes(await ask(EMPTY_DIGEST))).toEqual([EMPTY_DIGEST.hash])
})

it('keeps pages below what a client takes', async () => {
  const wide = (name: string, width = 6000) =>
    directory(
      Array.from({ length: width }, () => EMPTY_DIGEST),
      name,
    )
  const parts = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => wide(name)))
  const root = await directory(parts)
  const pages = await ask(root)
  expect(hashes(pages)).toEqual([root, ...parts, EMPTY_DIGEST].map(({ hash }) => hash))
  expect(pages.length).toBeGreaterThan(2)
  const [page, ...others] = await ask(await wide('large', 20_000))
  expect([page?.directories.length, others.length]).toEqual([1, 1])
})

it('says what is wrong', async () => {
  const root = await directory([await directory([EMPTY_DIGEST])])
  const [first] = await ask(root, 1)
  const token = first?.nextPageToken as string
  const other = await directory([await directory([EMPTY_DIGEST])], 'other')
  expect(await codeOf(ask(digestOf(content(20, 1))))).toBe(GrpcCode.NOT_FOUND)
  expect(await codeOf(ask(await keep(content(20, 2))))).toBe(GrpcCode.INVALID_ARGUMENT)
  expect(await codeOf(ask(undefined))).toBe(GrpcCode.INVALID_ARGUMENT)
  expect(await codeOf(ask(root, -1))).toBe(GrpcCode.INVALID_ARGUMENT)
  expect(await codeOf(ask(other, 1, token))).toBe(GrpcCode.INVALID_ARGUMENT)
  for (const wrong of [
    'x',
    '1',
    `0${token}`,
    token.slice(1),
    `${token}0`,
    `9${token}`,
    token.replace(/-..../, '-0000'),
  ])
    expect(await codeOf(ask(root, 1, wrong)), wrong).toBe(GrpcCode.INVALID_ARGUMENT)
})
