import { expect, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { Tree } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { readWhole } from '../read-whole.ts'
import { besideOf, digestsOf } from './beside.ts'
import { type FaultyEnd, faultyEnd } from './faulty-end.fixture.ts'
import { Homes } from './homes.ts'
import { Rendezvous } from './rendezvous.ts'
import { sharded } from './sharded.ts'
import { keptBlobsAction } from './sharded-result.ts'
import { WrittenBlobs } from './written-blobs.ts'

const KEY = action('a')
const CONTENTS = Array.from({ length: 12 }, (_, i) => content(1000 + i, i))
const DIGESTS = CONTENTS.map(digestOf)

function members(count = 6) {
  const ends = Array.from({ length: count }, (_, i) => faultyEnd(`server ${i}`))
  const shards = ends.map((end, i) => ({ name: `server ${i}`, weight: 1, end }))
  const of = ({ hash }: Digest) => new Rendezvous(shards, 2).of(hash).map((i) => ends[i] as FaultyEnd)
  return { ends, of, open: () => sharded(shards) }
}

async function kept(contents: readonly Uint8Array[] = CONTENTS, named = result(contents.map(digestOf))) {
  const all = members()
  const writer = all.open()
  await Promise.all(contents.map((bytes) => writer.blobs.write(scope, digestOf(bytes), bytes)))
  await writer.actions.put(scope, KEY, named)
  for (const end of all.ends) end.asked.length = 0
  return all
}

async function found(end: ReturnType<typeof sharded>, digests = DIGESTS): Promise<(string | undefined)[]> {
  const hashes: (string | undefined)[] = []
  for await (const { index, bytes } of end.blobs.readBatch(scope, digests))
    hashes[index] = bytes && digestOf(bytes).hash
  return hashes
}

const asked = (ends: readonly FaultyEnd[]) => ends.filter((end) => end.asked.length > 0)
const HASHES = DIGESTS.map(({ hash }) => hash)

test('a hit and its small blobs are asked of one end', async () => {
  const { ends, of, open } = await kept()
  const reader = open()
  expect(await reader.actions.get(scope, KEY)).toMatchObject({ kind: 'hit', result: result(DIGESTS) })
  expect(await found(reader)).toEqual(HASHES)
  expect(asked(ends)).toEqual([of(KEY)[0]])
  expect(of(KEY)[0]?.asked).toEqual(['get', 'readBatch'])
})

test('where blobs lay by themselves, they need not be any more', async () => {
  const { ends, of, open } = await kept()
  for (const end of ends) if (!of(KEY).includes(end)) end.wipe()
  for (const first of [of(KEY)[0], undefined]) {
    if (first !== undefined) first.isDead = true
    const reader = open()
    expect(await reader.actions.get(scope, KEY)).toMatchObject({ kind: 'hit' })
    expect(await found(reader)).toEqual(HASHES)
    if (first !== undefined) first.isDead = false
  }
})

test('where they lay beside the result they need not be any more, either', async () => {
  const { of, open } = await kept()
  const reader = open()
  await reader.actions.get(scope, KEY)
  const [home] = of(KEY) as [FaultyEnd]
  home.wipe()
  expect(await found(reader)).toEqual(HASHES)
  home.isDead = true
  expect(await found(reader)).toEqual(HASHES)
  await reader[Symbol.asyncDispose]()
  home.isDead = false
  // Only what belongs there is brought back.
  const missing = await home.blobs.missing(scope, DIGESTS)
  for (const digest of missing) expect(of(digest)).not.toContain(home)
})

test('an end that lost the result is given all of it again', async () => {
  const { ends, of, open } = await kept()
  const [first, second] = of(KEY) as [FaultyEnd, FaultyEnd]
  first.wipe()
  const reader = open()
  expect(await reader.actions.get(scope, KEY)).toMatchObject({ kind: 'hit' })
  await reader[Symbol.asyncDispose]()
  for (const end of ends) if (end !== first) end.wipe()
  second.isDead = true
  const other = open()
  expect(await other.actions.get(scope, KEY)).toMatchObject({ kind: 'hit' })
  expect(await found(other)).toEqual(HASHES)
})

test('who did not write the blobs puts them beside the result all the same', async () => {
  const all = members()
  const writer = all.open()
  await Promise.all(CONTENTS.map((bytes, i) => writer.blobs.write(scope, DIGESTS[i] as Digest, bytes)))
  await all.open().actions.put(scope, KEY, result(DIGESTS))
  for (const end of all.of(KEY)) expect(await end.blobs.missing(scope, DIGESTS)).toEqual([])
})

test('a large blob is looked for where it lies, and a result without it is none', async () => {
  const [small, large] = [content(64 << 10, 1), content((64 << 10) + 1, 2)]
  const { ends, of, open } = await kept([small, large])
  const reader = open()
  expect(await reader.actions.get(scope, KEY)).toMatchObject({ kind: 'hit' })
  expect(await readWhole(reader.blobs, scope, digestOf(large))).toHaveLength(large.length)
  const has = async (digest: Digest) => {
    const missing = await Promise.all(ends.map((end) => end.blobs.missing(scope, [digest])))
    return ends.filter((_, i) => missing[i]?.length === 0)
  }
  expect((await has(digestOf(large))).sort()).toEqual(of(digestOf(large)).sort())
  for (const end of of(KEY)) expect(await has(digestOf(small))).toContain(end)
  for (const end of of(digestOf(large))) end.isDead = true
  const faulty = { code: 'remote.unreachable' }
  await expect(open().actions.get(scope, KEY)).rejects.toMatchObject(faulty)
})

test('a result that prints something else is the same work', async () => {
  const all = members()
  const writer = all.open()
  const put = async (printed: Uint8Array) => {
    for (const bytes of [...CONTENTS, printed]) await writer.blobs.write(scope, digestOf(bytes), bytes)
    return writer.actions.put(scope, KEY, { ...result(DIGESTS), stdoutDigest: digestOf(printed) })
  }
  expect(await put(Buffer.from('at noon'))).toBe('new')
  expect(await put(Buffer.from('at one'))).toBe('same')
  expect(await writer.actions.put(scope, KEY, result(DIGESTS.slice(1)))).toBe('different')
})

test('what was printed and small trees lie beside the result, too', async () => {
  const printed = Buffer.from('done')
  const tree = Buffer.from(
    Tree.encode({ root: { files: [], directories: [], symlinks: [] }, children: [] } as never).finish(),
  )
  const named = {
    ...result(DIGESTS),
    ...{ stdoutDigest: digestOf(printed), stderrDigest: digestOf(printed) },
    outputDirectories: [{ path: 'd', treeDigest: digestOf(tree), isTopologicallySorted: false }],
  }
  const { ends, of, open } = await kept([...CONTENTS, printed, tree], named)
  const reader = open()
  expect(await reader.actions.get(scope, KEY)).toMatchObject({ kind: 'hit' })
  expect(await readWhole(reader.blobs, scope, digestOf(printed))).toEqual(new Uint8Array(printed))
  expect(asked(ends)).toEqual([of(KEY)[0]])
})

test('as many as an answer has room for, each once', () => {
  const many = Array.from({ length: 20 }, (_, i) => digestOf(content(64 << 10, i)))
  expect(digestsOf(besideOf(result(many)))).toEqual(many.slice(0, 16))
  const small = digestOf(Buffer.from('x'))
  const empty = digestOf(Buffer.alloc(0))
  expect(digestsOf(besideOf(result([small, small, empty])))).toEqual([small])
  const inline = {
    ...result([small]),
    outputFiles: result([small]).outputFiles.map((file) => ({ ...file, contents: Buffer.from('x') })),
  }
  expect(digestsOf(besideOf(inline))).toEqual([])
})

test('what is remembered has a bound, and the oldest goes', () => {
  const written = new WrittenBlobs()
  const bytes = Array.from({ length: 130 }, (_, i) => content(64 << 10, i))
  for (const each of bytes) written.add(digestOf(each), each)
  expect(bytes.map((each) => written.get(digestOf(each)) !== undefined)).toEqual(bytes.map((_, i) => i >= 2))
  const large = content((64 << 10) + 1, 1)
  written.add(digestOf(large), large)
  expect(written.get(digestOf(large))).toBeUndefined()
  const homes = new Homes()
  const home = { name: 'a', weight: 1, end: faultyEnd() }
  const digest = (i: number) => ({ hash: `${i}`, sizeBytes: 1 })
  for (let i = 0; i < 50_001; i++) homes.note(home, [digest(i)])
  expect([0, 1, 50_000].map((i) => homes.of(digest(i)))).toEqual([undefined, home, home])
})

test('blobs that do not lie beside a result are named at each end that has them, so that none gives them up', async () => {
  const large = [1, 2, 3, 4].map((i) => content(70_000, i))
  const { ends, of } = await kept([...CONTENTS, ...large])
  for (const end of ends) {
    const lookup = await end.actions.get(scope, keptBlobsAction(KEY))
    const names = lookup.kind === 'hit' ? lookup.result.outputFiles.map(({ digest }) => digest?.hash) : []
    expect(names).toEqual(
      large
        .map(digestOf)
        .filter((digest) => of(digest).includes(end))
        .map(({ hash }) => hash),
    )
  }
  const small = await kept()
  for (const end of small.ends)
    expect(await end.actions.get(scope, keptBlobsAction(KEY))).toMatchObject({ kind: 'miss' })
})

test('a result is kept though an end cannot be told of the blobs that it has', async () => {
  const all = members()
  const large = content(70_000, 1)
  const writer = all.open()
  await writer.blobs.write(scope, digestOf(large), large)
  const [first, second] = all.of(digestOf(large)) as [FaultyEnd, FaultyEnd]
  first.wipe()
  if (!all.of(KEY).includes(second))
    Object.assign(second.actions, { put: async () => Promise.reject(new Error('full')) })
  expect(await writer.actions.put(scope, KEY, result([digestOf(large)]))).toBe('new')
})
