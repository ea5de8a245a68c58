import { mkdirSync, symlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { findExecutable } from './executable.ts'
import { executableProperties, parseShebang } from './executable-digest.ts'
import { Checkout } from './key.fixture.ts'

test('the first program on PATH wins; a relative entry is relative to the command’s folder', () => {
  using checkout = new Checkout()
  checkout.write('one/tool', 'x', 0o755)
  checkout.write('two/tool', 'x', 0o755)
  const find = (searchPath: string) => findExecutable('tool', { cwd: checkout.root, searchPath }).path
  expect(find(`${checkout.path('absent')}:${checkout.path('two')}:${checkout.path('one')}`)).toBe(
    checkout.path('two/tool'),
  )
  expect(find('one')).toBe(checkout.path('one/tool'))
  expect(findExecutable('./one/tool', { cwd: checkout.root, searchPath: undefined }).path).toBe(
    checkout.path('one/tool'),
  )
})

test('what cannot be executed on PATH is passed over, and named when nothing else is found', () => {
  using checkout = new Checkout()
  checkout.write('one/tool', 'x', 0o644)
  checkout.write('two/tool', 'x', 0o755)
  const both = `${checkout.path('one')}:${checkout.path('two')}`
  expect(findExecutable('tool', { cwd: '/', searchPath: both }).path).toBe(checkout.path('two/tool'))
  expect(() => findExecutable('tool', { cwd: '/', searchPath: checkout.path('one') })).toThrow(
    expect.objectContaining({ code: 'command.not-executable', hint: expect.stringContaining('chmod') }),
  )
})

test('a folder, a loop of links, nothing: each has its own words', () => {
  using checkout = new Checkout()
  mkdirSync(checkout.path('folder'))
  symlinkSync('loop', checkout.path('loop'))
  const find = (name: string) => () => findExecutable(name, { cwd: checkout.root, searchPath: checkout.root })
  expect(find('folder')).toThrow(/folder cannot be executed: it is a folder/)
  expect(find('./loop')).toThrow(expect.objectContaining({ code: 'command.not-executable' }))
  expect(find('absent')).toThrow(expect.objectContaining({ code: 'command.not-found' }))
  expect(find('./absent')).toThrow(expect.objectContaining({ code: 'command.not-found' }))
  expect(find('')).toThrow(expect.objectContaining({ code: 'command.not-found' }))
  expect(find('a'.repeat(5000))).toThrow(expect.objectContaining({ code: 'command.not-found' }))
})

test.each([
  ['#!/bin/sh\n', '/bin/sh'],
  ['#! /bin/sh -e\n', '/bin/sh'],
  ['#!/usr/bin/env node\r\n', 'node'],
  ['#!/usr/bin/env -S node --flag\n', 'node'],
  ['#!/usr/bin/env -S A=1 node\n', 'node'],
  ['#!\n', ''],
  ['\x7fELF', ''],
  ['', ''],
  [' #!/bin/sh', ''],
])('the first line %j asks for %j', (line, interpreter) => {
  expect(parseShebang(line)).toBe(interpreter)
})

test('a script counts with its interpreters, looked up on PATH', async () => {
  using checkout = new Checkout()
  checkout.write('bin/inner', 'binary', 0o755)
  checkout.write('bin/outer', `#!${checkout.path('bin/inner')}\n`, 0o755)
  checkout.write('script', '#!/usr/bin/env outer\n', 0o755)
  const place = {
    cwd: checkout.root,
    searchPath: checkout.path('bin'),
    replaced: new Set<string>(),
    records: checkout.records,
  }
  const properties = () => executableProperties(findExecutable('./script', place), './script', place)
  const before = await properties()
  expect(before.map(({ name }) => name)).toEqual([
    'recue.executable',
    'recue.executable.interpreter',
    'recue.executable.interpreter.interpreter',
  ])
  checkout.write('bin/inner', 'BINARY', 0o755)
  const after = await properties()
  expect(after.slice(0, 2)).toEqual(before.slice(0, 2))
  expect(after[2]).not.toEqual(before[2])
})

test('a script that names itself as its interpreter ends', async () => {
  using checkout = new Checkout()
  checkout.write('loop', `#!${checkout.path('loop')}\n`, 0o755)
  const place = { cwd: checkout.root, searchPath: '', replaced: new Set<string>(), records: undefined }
  expect(await executableProperties(findExecutable('./loop', place), './loop', place)).toHaveLength(1)
})

test('a program that was written just now is read again next time', async () => {
  using checkout = new Checkout()
  checkout.write('tool', 'one', 0o755)
  const place = { cwd: checkout.root, searchPath: '', replaced: new Set<string>(), records: checkout.records }
  await executableProperties(findExecutable('./tool', place), './tool', place)
  expect(checkout.records.saves).toBe(0)
})

test('an unchanged program is not read again, and a changed one is', async () => {
  using checkout = new Checkout()
  checkout.write('tool', 'one', 0o755)
  checkout.settle()
  const place = { cwd: checkout.root, searchPath: '', replaced: new Set<string>(), records: checkout.records }
  const properties = () => executableProperties(findExecutable('./tool', place), './tool', place)
  const before = await properties()
  expect(checkout.records.saves).toBe(1)
  expect(await properties()).toEqual(before)
  expect(checkout.records.saves).toBe(1)
  checkout.write('tool', 'two', 0o755)
  expect(await properties()).not.toEqual(before)
})
