import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { directoryTree, type TreeNode } from './directory-tree.ts'

const proto = fileURLToPath(
  new URL('../../proto/build/bazel/remote/execution/v2/remote_execution.proto', import.meta.url),
)
const loader = new protobuf.Root()
loader.resolvePath = (_, target) =>
  target.startsWith('/') ? target : fileURLToPath(new URL(`../../proto/${target}`, import.meta.url))
const Directory = loader.loadSync(proto).lookupType('build.bazel.remote.execution.v2.Directory')

const digest = { hash: 'ab'.repeat(32), sizeBytes: 300 }

function file(path: string, isExecutable = false): TreeNode {
  return { kind: 'file', path, digest, isExecutable }
}

describe('by hand', () => {
  test('no nodes are the empty message', () => {
    const { rootDigest, messages } = directoryTree([])
    expect(rootDigest).toEqual({
      hash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      sizeBytes: 0,
    })
    expect(messages).toHaveLength(1)
  })

  test('a file, a program, a link', () => {
    const { messages } = directoryTree([{ kind: 'link', path: 'l', text: '../t' }, file('b', true), file('a')])
    const node = (name: string, flag: string) => {
      const inner = `0a01${name}1245` + `0a40${Buffer.from(digest.hash).toString('hex')}10ac02${flag}`
      return `0a${(inner.length / 2).toString(16)}${inner}`
    }
    const link = '1a090a016c12042e2e2f74'
    expect(Buffer.from(messages[0]?.bytes as Uint8Array).toString('hex')).toBe(
      node('61', '') + node('62', '2001') + link,
    )
  })
})

const name = fc.string({
  unit: fc.constantFrom('a', 'b', 'é', '\u{e000}', '\u{1f600}', '.', '-', '\n', ' '),
  minLength: 1,
  maxLength: 4,
})
const paths = fc
  .uniqueArray(
    fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/')),
    { maxLength: 30 },
  )
  .map((all) => all.filter((path) => !all.some((other) => other.startsWith(`${path}/`))))
const nodes = paths.chain((all) =>
  fc.tuple(
    ...all.map((path) =>
      fc.constantFrom<TreeNode>(file(path), file(path, true), { kind: 'link', path, text: `to ${path}` }),
    ),
  ),
)

/** Another way to the same bytes: protobufjs, and folders made from the paths by recursion. */
function reference(all: readonly TreeNode[], prefix = ''): { hash: string; sizeBytes: number; bytes: Uint8Array } {
  const below = all
    .filter(({ path }) => path.startsWith(prefix))
    .map((node) => ({ node, rest: node.path.slice(prefix.length) }))
  const here = below.filter(({ rest }) => !rest.includes('/'))
  const byBytes = (a: { name: string }, b: { name: string }) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))
  const folders = [
    ...new Set(below.filter(({ rest }) => rest.includes('/')).map(({ rest }) => rest.split('/')[0] as string)),
  ]
  const files = here.flatMap(({ node, rest }) =>
    node.kind === 'file' ? [{ name: rest, digest: node.digest, ...(node.isExecutable && { isExecutable: true }) }] : [],
  )
  const links = here.flatMap(({ node, rest }) => (node.kind === 'link' ? [{ name: rest, target: node.text }] : []))
  const bytes = Directory.encode(
    Directory.fromObject({
      files: files.sort(byBytes),
      directories: folders
        .map((folder) => {
          const { hash, sizeBytes } = reference(all, `${prefix}${folder}/`)
          // A size of 0 is left out on the wire; protobufjs writes what is set.
          return { name: folder, digest: { hash, ...(sizeBytes > 0 && { sizeBytes }) } }
        })
        .sort(byBytes),
      symlinks: links.sort(byBytes),
    }),
  ).finish()
  return { hash: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length, bytes }
}

test('is what an independent encoder makes, byte for byte, in any order', () => {
  fc.assert(
    fc.property(nodes, fc.infiniteStream(fc.nat()), (given, random) => {
      const { rootDigest, messages } = directoryTree(given)
      const expected = reference(given)
      expect(rootDigest).toEqual({ hash: expected.hash, sizeBytes: expected.sizeBytes })
      expect(Buffer.from(messages.at(-1)?.bytes as Uint8Array)).toEqual(Buffer.from(expected.bytes))
      const shuffled = given.map((node) => ({ node, at: random.next().value as number })).sort((a, b) => a.at - b.at)
      expect(directoryTree(shuffled.map(({ node }) => node)).rootDigest).toEqual(rootDigest)
    }),
  )
})

test('equal folders are one message', () => {
  const { messages } = directoryTree([file('x/same/f'), file('y/same/f')])
  expect(messages).toHaveLength(3)
})
