import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Checkout } from './key/key.fixture.ts'
import { findRoot } from './root.ts'

test('the nearest config decides, above git and package.json', () => {
  using checkout = new Checkout({ 'a/recue.config.json': '{}', 'a/b/package.json': '{}', 'a/b/c/x': '' })
  mkdirSync(checkout.path('a/b/.git'))
  const place = findRoot(checkout.path('a/b/c'))
  expect(place).toEqual({
    root: checkout.path('a'),
    workingDirectory: 'b/c',
    configFile: checkout.path('a/recue.config.json'),
  })
})

test('a package.json with a recue key is a config, one that only mentions the word is not', () => {
  using checkout = new Checkout({
    'package.json': '{"recue":{}}',
    'a/package.json': '{"dependencies":{"recue":"1"}}',
    'a/b/package.json': '{ "recue": broken',
  })
  expect(findRoot(checkout.path('a/b'))).toEqual({
    root: checkout.root,
    workingDirectory: 'a/b',
    configFile: checkout.path('package.json'),
  })
})

test('then git’s top level, a worktree’s too', () => {
  using checkout = new Checkout({ 'a/.git': 'gitdir: elsewhere', 'a/b/package.json': '{}', 'a/b/c/x': '' })
  expect(findRoot(checkout.path('a/b/c')).root).toBe(checkout.path('a'))
})

test('then the nearest package.json, then the folder itself', () => {
  using checkout = new Checkout({ 'a/package.json': '{}', 'a/b/x': '', 'c/x': '' })
  expect(findRoot(checkout.path('a/b')).root).toBe(checkout.path('a'))
  expect(findRoot(checkout.path('c'))).toEqual({
    root: checkout.path('c'),
    workingDirectory: '',
    configFile: undefined,
  })
})

test('--root wins, and a config is still found', () => {
  using checkout = new Checkout({ 'a/recue.config.ts': '', 'a/b/x': '' })
  const place = findRoot(checkout.path('a/b'), { root: '../..' })
  expect(place).toEqual({
    root: checkout.root,
    workingDirectory: 'a/b',
    configFile: checkout.path('a/recue.config.ts'),
  })
})

test('paths through links are the real ones', () => {
  using checkout = new Checkout({ 'real/package.json': '{}', 'real/b/x': '' })
  symlinkSync('real', checkout.path('link'))
  expect(findRoot(join(checkout.root, 'link', 'b'))).toMatchObject({
    root: checkout.path('real'),
    workingDirectory: 'b',
  })
})

test('a root that does not hold the working directory is refused with a hint', () => {
  using checkout = new Checkout({ 'a/x': '', 'ab/x': '' })
  expect(() => findRoot(checkout.path('ab'), { root: checkout.path('a') })).toThrow(
    expect.objectContaining({ code: 'input.outside-root', hint: expect.stringContaining('--root') }),
  )
  expect(() => findRoot(checkout.root, { root: 'absent' })).toThrow(expect.objectContaining({ code: 'usage' }))
  expect(() => findRoot(checkout.path('a/x'))).toThrow(expect.objectContaining({ code: 'usage' }))
})
