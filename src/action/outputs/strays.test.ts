import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCheckout } from './restore.fixture.ts'
import { strays } from './strays.ts'

test('names what was made or changed outside of outputs and scratch', async () => {
  await using checkout = await openCheckout()
  checkout.write({ 'src/old.js': 'old', 'src/edited.js': 'before', 'lib/node_modules/.cache/x': 'x' })
  checkout.age()
  const sinceMs = Date.now()
  checkout.write({
    'src/edited.js': 'after',
    'src/input.js': 'changed input',
    'dist/a.js': 'output',
    'distant.txt': 'stray',
    'a.map': 'glob',
    'node_modules/.cache/tool/x': 'scratch',
    'lib/node_modules/.cache/x': 'scratch',
    'node_modules/.vite/deps/x': 'scratch',
    'lib/node_modules/.vite-temp/x': 'scratch',
    'node_modules/.vitest-results.json': 'scratch',
    'node_modules/.vitest/results.json': 'scratch',
    'tmp/deep/x': 'scratch of config',
    '.git/index': 'git',
    '.hidden': 'stray',
    'new\nline': 'stray',
  })
  symlinkSync('src', join(checkout.root, 'link'))
  const found = await strays(checkout.workspace, {
    sinceMs,
    outputs: checkout.outputs('dist', '*.map'),
    scratch: ['tmp/**'],
    isInput: (path) => path === 'src/input.js',
  })
  expect(found).toEqual(['.hidden', 'distant.txt', 'link', 'new\nline', 'src/edited.js'])
})

test('gives up where there is too much to look at', async () => {
  await using checkout = await openCheckout()
  checkout.write({ a: 'a', b: 'b', 'c/d': 'd', 'c/e': 'e' })
  const look = (mostEntries: number) =>
    strays(checkout.workspace, { sinceMs: 0, outputs: [], scratch: [], isInput: () => false, mostEntries })
  expect(await look(5)).toEqual(['a', 'b', 'c/d', 'c/e'])
  expect(await look(4)).toBeUndefined()
})

test('stays on the file system of the root', async ({ skip }) => {
  await using checkout = await openCheckout()
  const target = join(checkout.root, 'mnt')
  checkout.write({ a: 'a', 'mnt/': '' })
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', target], { stdio: 'ignore' })
  } catch {
    skip('mounting needs root')
  }
  try {
    checkout.write({ 'mnt/b': 'b' })
    const all = { sinceMs: 0, outputs: [], scratch: [], isInput: () => false }
    expect(await strays(checkout.workspace, all)).toEqual(['a'])
  } finally {
    execFileSync('umount', [target])
  }
})

test.skipIf(process.platform === 'win32')('the root of all does not keep it for long', async () => {
  await using checkout = await openCheckout()
  const all = { sinceMs: Date.now(), outputs: [], scratch: [], isInput: () => false }
  const before = performance.now()
  const found = await strays({ root: '/', cacheDir: checkout.workspace.cacheDir }, all)
  expect(performance.now() - before).toBeLessThan(10_000)
  expect(found?.filter((path) => /^(proc|sys)\//.test(path)) ?? []).toEqual([])
})
