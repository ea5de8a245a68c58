import { expect, test } from 'vitest'
import { directoryObject } from './directory-object.ts'

const digest = (size: number) => ({ algorithm: 'blake3', hash: 'ab'.repeat(32), size })
const file = (name: string, more = {}) => ({ name, digest: digest(1), executable: false, mode: 420, ...more })
const directory = (name: string, more = {}) => ({ name, digest: digest(2), mode: 493, ...more })
const link = (name: string, more = {}) => ({ name, target: 'a', mode: 511, ...more })
const object = (more = {}) => ({ version: 1, directories: [], files: [], symlinks: [], ...more })

test('names files and directories', () => {
  const value = object({ files: [file('a'), file('b')], directories: [directory('c')], symlinks: [link('d')] })
  expect(directoryObject(value)).toEqual({ files: [digest(1), digest(1)], directories: [digest(2)] })
})

test.each([
  ['another version', object({ version: 2 })],
  ['a field that no version 1 has', object({ more: 1 })],
  ['no list', { version: 1, files: [], symlinks: [] }],
  ['a name twice', object({ files: [file('a')], symlinks: [link('a')] })],
  ['no node', object({ files: [null] })],
  ['no name', object({ files: [file('')] })],
  ['itself', object({ directories: [directory('.')] })],
  ['its parent', object({ directories: [directory('..')] })],
  ['a path', object({ files: [file('a/b')] })],
  ["a path of another system's", object({ files: [file('a\\b')] })],
  ['a zero', object({ files: [file('a\0')] })],
  ['a mode that is none', object({ files: [file('a', { mode: 0o10000 })] })],
  ['a mode below none', object({ files: [file('a', { mode: -1 })] })],
  ['a mode in parts', object({ files: [file('a', { mode: 1.5 })] })],
  ['no executable bit', object({ files: [file('a', { executable: 1 })] })],
  ['no digest', object({ files: [file('a', { digest: undefined })] })],
  ['a digest that is none', object({ directories: [directory('a', { digest: { ...digest(1), size: -1 } })] })],
  ['a digest with more', object({ directories: [directory('a', { digest: { ...digest(1), more: 1 } })] })],
  ['a link to nothing', object({ symlinks: [link('a', { target: '' })] })],
  ['a link to a root', object({ symlinks: [link('a', { target: '/etc' })] })],
  ['a link to no text', object({ symlinks: [link('a', { target: 1 })] })],
])('%s: none', (_name, value) => {
  expect(directoryObject(value)).toBeUndefined()
})
