import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Digest } from '../digest/digest.ts'
import { Directory, Tree } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { directoryDigests, treeFileDigests } from './tree-digests.ts'

const name = fc.string({ unit: 'grapheme' })
const digest = fc.record({
  hash: fc.oneof(
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    fc.string({ maxLength: 80 }),
  ),
  sizeBytes: fc.oneof(fc.nat(300), fc.maxSafeNat()),
})
const properties = fc.record({
  properties: fc.array(fc.record({ name, value: name })),
  mtime: fc.constant(undefined),
  unixMode: fc.option(fc.nat(0o777), { nil: undefined }),
})
const file = fc.record(
  { name, digest, isExecutable: fc.boolean(), nodeProperties: properties },
  { requiredKeys: ['name', 'isExecutable'] },
)
const directory = fc.record({
  files: fc.array(file),
  directories: fc.array(fc.record({ name, digest })),
  symlinks: fc.array(fc.record({ name, target: name })),
})
const tree = fc.record({ root: directory, children: fc.array(directory, { maxLength: 4 }) })

function digestsOf({ root, children }: Tree): Digest[] {
  const directories = [root, ...children].filter((one): one is Directory => one !== undefined)
  return directories.flatMap(({ files }) => files.flatMap(({ digest }) => digest ?? []))
}

test('finds the digests of all files, as the generated code does', () => {
  fc.assert(
    fc.property(tree, (message) => {
      const bytes = Tree.encode(message).finish()
      expect(treeFileDigests(bytes)).toEqual(digestsOf(Tree.decode(bytes)))
    }),
  )
})

test('finds what a directory names itself, as the generated code does', () => {
  fc.assert(
    fc.property(directory, (message) => {
      const bytes = Directory.encode(message).finish()
      const { files, directories } = Directory.decode(bytes)
      const named = (nodes: readonly { digest?: Digest | undefined }[]) => nodes.flatMap(({ digest }) => digest ?? [])
      expect(directoryDigests(bytes)).toEqual({ files: named(files), directories: named(directories) })
    }),
  )
  expect(directoryDigests(Uint8Array.of(10, 5, 10))).toBeUndefined()
})

test('what was cut off or changed is none, or one that differs: never an error', () => {
  fc.assert(
    fc.property(tree, fc.nat(), fc.nat(255), (message, place, byte) => {
      const bytes = Tree.encode(message).finish()
      const cut = bytes.slice(0, place % (bytes.length + 1))
      expect(() => treeFileDigests(cut)).not.toThrow()
      if (bytes.length === 0) return
      bytes[place % bytes.length] = byte
      expect(() => treeFileDigests(bytes)).not.toThrow()
    }),
  )
})

test('a length beyond the end is no tree', () => {
  expect(treeFileDigests(Uint8Array.of(10, 5, 10))).toBeUndefined()
  expect(treeFileDigests(Uint8Array.of(10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))).toBeUndefined()
  expect(treeFileDigests(Buffer.from('not a tree at all'))).toBeUndefined()
})
