import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Digest } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { Directory } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { inputChanges } from './input-changes.ts'

/** `file:…` content, `exec:…` executable content, `link:…` target; or a folder. */
type Tree = { readonly [name: string]: string | Tree }

function stored(blobs: Map<string, Uint8Array>, tree: Tree): Digest {
  const names = Object.keys(tree).sort()
  const entries = names.map((name) => [name, tree[name] as string | Tree] as const)
  const files = entries.flatMap(([name, node]) =>
    typeof node === 'string' && !node.startsWith('link:')
      ? [{ name, digest: digestOf(Buffer.from(node.slice(5))), isExecutable: node.startsWith('exec:') }]
      : [],
  )
  const symlinks = entries.flatMap(([name, node]) =>
    typeof node === 'string' && node.startsWith('link:') ? [{ name, target: node.slice(5) }] : [],
  )
  const directories = entries.flatMap(([name, node]) =>
    typeof node === 'string' ? [] : [{ name, digest: stored(blobs, node) }],
  )
  const bytes = Directory.encode({ files, directories, symlinks }).finish()
  const digest = digestOf(bytes)
  blobs.set(digest.hash, bytes)
  return digest
}

async function changes(before: Tree, after: Tree, limit = 1000) {
  const blobs = new Map<string, Uint8Array>()
  const read: string[] = []
  const messages = {
    read: async ({ hash }: Digest) => {
      read.push(hash)
      return blobs.get(hash)
    },
  }
  const found = await inputChanges(messages, stored(blobs, before), stored(blobs, after), limit)
  return { lines: found.changes.map(({ path, how }) => `${path} ${how}`), isCut: found.isCut, reads: read.length }
}

const base: Tree = {
  'a.ts': 'file:1',
  run: 'exec:1',
  now: 'link:a.ts',
  src: { 'b.ts': 'file:1', deep: { 'c.ts': 'file:1' } },
}

test.each<[string, Tree, string[]]>([
  ['nothing', base, []],
  ['content', { ...base, 'a.ts': 'file:2' }, ['a.ts content']],
  ['content in depth', { ...base, src: { 'b.ts': 'file:1', deep: { 'c.ts': 'file:2' } } }, ['src/deep/c.ts content']],
  ['a new file', { ...base, 'z.ts': 'file:1' }, ['z.ts added']],
  ['a file gone', { ...base, src: { deep: { 'c.ts': 'file:1' } } }, ['src/b.ts removed']],
  ['a folder gone', { ...base, src: { 'b.ts': 'file:1' } }, ['src/deep/ removed']],
  ['a new folder', { ...base, lib: { 'd.ts': 'file:1' } }, ['lib/ added']],
  ['the executable bit', { ...base, run: 'file:1' }, ['run executable']],
  ['link text', { ...base, now: 'link:b.ts' }, ['now link']],
  ['a file that became a link', { ...base, 'a.ts': 'link:b.ts' }, ['a.ts kind']],
  ['a folder that became a file', { ...base, src: 'file:1' }, ['src kind']],
  ['several', { ...base, 'a.ts': 'file:2', run: 'exec:2' }, ['a.ts content', 'run content']],
])('names what changed: %s', async (_, after, lines) => {
  expect((await changes(base, after)).lines).toEqual(lines)
})

test('folders that are the same are not read', async () => {
  const many: Tree = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`d${i}`, { f: `file:${i}` }]))
  const { lines, reads } = await changes({ ...many, x: 'file:1' }, { ...many, x: 'file:2', d7: { f: 'file:new' } })
  expect(lines).toEqual(['d7/f content', 'x content'])
  expect(reads).toBe(4)
})

test('says that there are more than the limit', async () => {
  const after: Tree = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, 'file:1']))
  const [all, cut] = [await changes({}, after, 20), await changes({}, after, 19)]
  expect([all.isCut, all.lines.length]).toEqual([false, 20])
  expect([cut.isCut, cut.lines.length]).toEqual([true, 19])
})

test('a folder whose message is gone is named as far as it is known', async () => {
  const blobs = new Map<string, Uint8Array>()
  const [before, after] = [stored(blobs, base), stored(blobs, { ...base, src: { 'b.ts': 'file:2' } })]
  blobs.delete(stored(new Map(), base.src as Tree).hash)
  const messages = { read: async ({ hash }: Digest) => blobs.get(hash) }
  expect(await inputChanges(messages, before, after, 10)).toEqual({
    changes: [{ path: 'src/', how: 'unknown' }],
    isCut: false,
  })
})

test('any two trees: exactly the paths that differ', async () => {
  const leaf = fc.constantFrom('file:1', 'file:2', 'exec:1', 'link:a', 'link:b')
  const name = fc.constantFrom('a', 'b', 'c', 'dé')
  const { tree } = fc.letrec<{ tree: Tree; node: string | Tree }>((tie) => ({
    tree: fc.dictionary(name, tie('node'), { maxKeys: 4, noNullPrototype: true }),
    node: fc.oneof({ maxDepth: 3, depthIdentifier: 'tree' }, leaf, tie('tree')),
  }))
  await fc.assert(
    fc.asyncProperty(tree, tree, async (before, after) => {
      const lines = (await changes(before, after)).lines.map((line) => line.replace(/ \w+$/, ''))
      expect(lines.toSorted()).toEqual(differing('', before, after).toSorted())
    }),
    { numRuns: 200 },
  )
})

function differing(prefix: string, before: Tree, after: Tree): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
    const [was, is] = [before[name], after[name]]
    if (typeof was === 'object' && typeof is === 'object') return differing(`${prefix}${name}/`, was, is)
    if (was === is) return []
    return [`${prefix}${name}${typeof (is ?? was) === 'object' ? '/' : ''}`]
  })
}
