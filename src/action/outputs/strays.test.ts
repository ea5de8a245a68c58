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
