import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { Directory, Tree } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { type Checkout, openCheckout, resultOf } from './restore.fixture.ts'
import { flatResult, outputPath, resultPath } from './result-tree.ts'

const FILE = { digest: digestOf(Buffer.from('x')), isExecutable: false }
const folder = (parts: Partial<Directory>): Directory => ({ files: [], directories: [], symlinks: [], ...parts })
const node = (name: string, directory: Directory) => ({ name, digest: digestOf(Directory.encode(directory).finish()) })

async function flatten(checkout: Checkout, root: Directory, children: Directory[] = []) {
  const bytes = Tree.encode({ root, children }).finish()
  const treeDigest = digestOf(bytes)
  await checkout.workspace.blobs.write(DEFAULT_SCOPE, treeDigest, bytes)
  const { result } = resultOf({ outputDirectories: [{ path: 'dist', treeDigest, isTopologicallySorted: false }] })
  return flatResult(checkout.workspace, result)
}

test.each(['..', '.', '', '../x', 'a/b', '/etc/passwd', 'zero\0byte'])(
  'a tree with the name %j is invalid',
  async (name) => {
    await using checkout = await openCheckout()
    const inner = folder({})
    expect(await flatten(checkout, folder({ files: [{ name, ...FILE }] }))).toMatchObject({ kind: 'invalid' })
    expect(await flatten(checkout, folder({ symlinks: [{ name, target: 't' }] }))).toMatchObject({ kind: 'invalid' })
    expect(await flatten(checkout, folder({ directories: [node(name, inner)] }), [inner])).toMatchObject({
      kind: 'invalid',
    })
  },
)

test('a tree that names one thing twice, lacks a folder or has a link to nowhere is invalid', async () => {
  await using checkout = await openCheckout()
  const twice = folder({ files: [{ name: 'a', ...FILE }], symlinks: [{ name: 'a', target: '/etc' }] })
  expect(await flatten(checkout, twice)).toMatchObject({ kind: 'invalid' })
  const linkAndFolder = folder({ symlinks: [{ name: 'a', target: '/etc' }], directories: [node('a', twice)] })
  expect(await flatten(checkout, linkAndFolder, [twice])).toMatchObject({ kind: 'invalid' })
  expect(await flatten(checkout, folder({ directories: [node('a', twice)] }))).toMatchObject({ kind: 'invalid' })
  expect(await flatten(checkout, folder({ symlinks: [{ name: 'a', target: '' }] }))).toMatchObject({ kind: 'invalid' })
})

test('a small tree that unfolds into billions of entries is invalid', async () => {
  await using checkout = await openCheckout()
  const children: Directory[] = [folder({ files: [{ name: 'x', ...FILE }] })]
  for (let depth = 0; depth < 32; depth++) {
    const inner = children.at(-1) as Directory
    children.push(folder({ directories: [node('a', inner), node('b', inner)] }))
  }
  const root = children.pop() as Directory
  expect(await flatten(checkout, root, children)).toMatchObject({ kind: 'invalid' })
})

test('any bytes for a tree are flat or invalid, never an exception', async () => {
  await using checkout = await openCheckout()
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
      const treeDigest = digestOf(bytes)
      await checkout.workspace.blobs.write(DEFAULT_SCOPE, treeDigest, bytes)
      const { result } = resultOf({ outputDirectories: [{ path: 'dist', treeDigest, isTopologicallySorted: true }] })
      expect(['flat', 'invalid']).toContain((await flatResult(checkout.workspace, result)).kind)
    }),
    { numRuns: 300 },
  )
})

test('children in any order, with fields of a later version, are found by their bytes', async () => {
  await using checkout = await openCheckout()
  const leaf = folder({ files: [{ name: 'x', ...FILE }] })
  const middle = folder({ directories: [node('leaf', leaf)] })
  const flat = await flatten(checkout, folder({ directories: [node('middle', middle), node('other', leaf)] }), [
    leaf,
    middle,
  ])
  expect(flat.kind === 'flat' && flat.entries.map(({ path }) => path)).toEqual([
    'dist',
    'dist/middle',
    'dist/middle/leaf',
    'dist/middle/leaf/x',
    'dist/other',
    'dist/other/x',
  ])
})

test('paths are spelled relative to the working directory and read back', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'dist')
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'))
  fc.assert(
    fc.property(path, fc.oneof(fc.constant(''), path), (output, workingDirectory) => {
      fc.pre(workingDirectory !== output && !workingDirectory.startsWith(`${output}/`))
      expect(outputPath(resultPath(output, workingDirectory), workingDirectory)).toBe(output)
    }),
  )
  expect(resultPath('packages/b/dist', 'packages/a')).toBe('../b/dist')
  expect(outputPath('../../../x', 'packages/a')).toBeUndefined()
})
