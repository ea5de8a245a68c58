import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Checkout } from '../key/key.fixture.ts'
import { parseIndex, trackedFiles } from './git-index.ts'

function byGit(checkout: Checkout): string[] {
  return [...new Set(checkout.git('ls-files', '-z', '--cached').split('\0').slice(0, -1))]
}

async function byUs(checkout: Checkout): Promise<readonly string[] | undefined> {
  return (await trackedFiles(checkout.path('.git')))?.paths
}

const files = {
  a: '',
  'dir/with space': '',
  'dir/new\nline': '',
  'dir/ümlaut': '',
  '-dash': '',
  [`long/${'n'.repeat(200)}`]: '',
  [Array.from({ length: 25 }, () => 'f'.repeat(180))
    .join('/')
    .slice(0, 3900)]: '',
}

describe('the index is read as git reads it', () => {
  test.each(['2', '4'])('version %s', async (version) => {
    using checkout = new Checkout(files)
    checkout.git('init', '-q')
    checkout.git('config', 'index.version', version)
    checkout.git('add', '.')
    const index = readFileSync(checkout.path('.git/index'))
    expect(index.readUInt32BE(4)).toBe(Number(version))
    expect(parseIndex(index, 20)).toEqual(byGit(checkout))
  })

  test('names longer than the length field holds', async () => {
    const name = `${'d'.repeat(250)}/`.repeat(15) + 'f'.repeat(240)
    using checkout = new Checkout({ [name.slice(0, 3900)]: '', z: '' })
    checkout.git('init', '-q')
    checkout.git('add', '.')
    expect(await byUs(checkout)).toEqual(byGit(checkout))
  })

  test('version 3: intent to add, skip-worktree', async () => {
    using checkout = new Checkout(files)
    checkout.git('init', '-q')
    checkout.git('add', '-N', 'a')
    checkout.git('add', 'dir')
    checkout.git('update-index', '--skip-worktree', 'dir/with space')
    expect(readFileSync(checkout.path('.git/index')).readUInt32BE(4)).toBe(3)
    expect(await byUs(checkout)).toEqual(byGit(checkout))
  })

  test('SHA-256 repositories', async () => {
    using checkout = new Checkout(files)
    checkout.git('init', '-q', '--object-format=sha256')
    checkout.git('add', '.')
    expect(await byUs(checkout)).toEqual(byGit(checkout))
  })

  test('a conflict counts once', async () => {
    using checkout = new Checkout({ a: 'base', b: '' })
    checkout.git('init', '-q', '-b', 'main')
    checkout.git('add', '.')
    checkout.git('commit', '-qm', 'base')
    checkout.git('checkout', '-qb', 'other')
    checkout.write('a', 'other')
    checkout.git('commit', '-qam', 'other')
    checkout.git('checkout', '-q', 'main')
    checkout.write('a', 'main')
    checkout.git('commit', '-qam', 'main')
    expect(() => checkout.git('merge', 'other')).toThrow()
    expect(await byUs(checkout)).toEqual(['a', 'b'])
  })

  test('a worktree has its own', async () => {
    using checkout = new Checkout({ a: '', b: '' })
    checkout.git('init', '-q')
    checkout.git('add', 'a')
    checkout.git('commit', '-qm', 'a')
    checkout.git('worktree', 'add', '-q', 'tree')
    expect((await trackedFiles(checkout.path('tree/.git')))?.paths).toEqual(['a'])
  })

  test('a split index is left to git', async () => {
    using checkout = new Checkout({ a: '', b: '' })
    checkout.git('init', '-q')
    checkout.git('add', 'a')
    checkout.git('update-index', '--split-index')
    checkout.git('add', 'b')
    expect(parseIndex(readFileSync(checkout.path('.git/index')), 20)).toBeUndefined()
    expect(await byUs(checkout)).toEqual(['a', 'b'])
  })
})

test('an index that is cut short is not understood', () => {
  using checkout = new Checkout(files)
  checkout.git('init', '-q')
  checkout.git('add', '.')
  const index = readFileSync(checkout.path('.git/index'))
  for (let length = 0; length < index.length; length += 7)
    expect(parseIndex(index.subarray(0, length), 20)).toBeUndefined()
})

test('a .git that is none of git’s is no repository, a new one has no files', async () => {
  using checkout = new Checkout({ 'x/.git': 'hello', 'y/.git/a': '' })
  expect(await trackedFiles(checkout.path('x/.git'))).toBeUndefined()
  expect(await trackedFiles(checkout.path('y/.git'))).toBeUndefined()
  checkout.git('init', '-q')
  expect((await trackedFiles(checkout.path('.git')))?.paths).toEqual([])
})
