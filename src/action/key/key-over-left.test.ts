import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { isCacheError } from '../../errors.ts'
import { type LeftEntry, Unsure, ViewWithLeft } from '../inputs/view-with-left.ts'
import { isVacant } from '../outputs/left-outputs.ts'
import { Checkout, treePaths } from './key.fixture.ts'
import { keyOf } from './key.ts'
import type { KeyedAction, OutputDeclaration } from './keyed-action.ts'

type Given = Parameters<Checkout['request']>[0]
type Thing = { readonly path: string } & (
  | { readonly kind: 'file'; readonly text: string; readonly isExecutable?: boolean }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'directory' }
)

function put(checkout: Checkout, thing: Thing): void {
  const path = checkout.path(thing.path)
  mkdirSync(thing.kind === 'directory' ? path : dirname(path), { recursive: true })
  if (thing.kind === 'link') symlinkSync(thing.target.replace('ROOT', checkout.root), path)
  if (thing.kind !== 'file') return
  writeFileSync(path, thing.text)
  chmodSync(path, thing.isExecutable ? 0o755 : 0o644)
}

function asLeft(checkout: Checkout, thing: Thing): LeftEntry {
  const { path, kind } = thing
  if (kind === 'link') return { kind, path, target: thing.target.replace('ROOT', checkout.root) }
  if (kind === 'directory') return { kind, path }
  return { kind, path, digest: digestOf(Buffer.from(thing.text)), isExecutable: thing.isExecutable === true }
}

/** Undefined where it says that it cannot tell. */
async function keyedOver(checkout: Checkout, left: readonly Thing[], given: Given): Promise<KeyedAction | undefined> {
  try {
    const files = new ViewWithLeft(
      checkout.root,
      left.map((thing) => asLeft(checkout, thing)),
    )
    const keyed = await keyOf(checkout.request(given), { ...checkout.options(), files })
    return keyed.kind === 'keyed' ? keyed.action : undefined
  } catch (error) {
    if (error instanceof Unsure || isCacheError(error)) return undefined
    throw error
  }
}

describe('the key of work whose inputs were left elsewhere is that of the files in place', () => {
  const folder = fc.constantFrom('', 'a/', 'b/', 'a/c/', 'out/', 'a/out/', 'b/out/', 'out/d/')
  const name = fc.constantFrom('x.ts', 'y.js', '[z]', 'X.ts', 'package.json', 'é')
  const link = fc.constantFrom('l', 'a/l', 'b/m', 'out/n', 'a/out/n')
  const target = fc.constantFrom(
    ...[
      'a',
      'out',
      '../a',
      '../out',
      'out/x.ts',
      '../a/out',
      'n',
      '.',
      'l',
      '../../b',
      '/nowhere',
      'ROOT/out',
      'ROOT/a',
    ],
  )
  const at = fc.tuple(folder, name).map((parts) => parts.join(''))
  const file = fc.record({
    kind: fc.constant('file' as const),
    path: at,
    text: fc.constantFrom('1', '2'),
    isExecutable: fc.boolean(),
  })
  const linked = fc.record({ kind: fc.constant('link' as const), path: link, target })
  const empty = fc.record({ kind: fc.constant('directory' as const), path: fc.constantFrom('out/e', 'a/out', 'b/[z]') })
  const pattern = fc.constantFrom(
    ...['.', 'a', 'a/**', '**/*.ts', '*/out/*', '**/x.ts', 'out', 'out/**', 'l', 'l/**', 'l/x.ts', 'a/l/x.ts', 'l/[z]'],
    ...['a/out/[z]', '[z]', 'b/[z]', '!**/y.js', '!out/d', 'a/l/**/*.js', '*/l', 'A/out', 'out/n/**', 'b/m', '@list'],
  )
  const world = fc.record({
    here: fc.array(fc.oneof({ weight: 4, arbitrary: file }, { weight: 2, arbitrary: linked }), { maxLength: 8 }),
    left: fc.array(
      fc.oneof({ weight: 5, arbitrary: file }, { weight: 2, arbitrary: linked }, { weight: 1, arbitrary: empty }),
      { minLength: 1, maxLength: 6 },
    ),
    patterns: fc.option(fc.array(pattern, { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 5 }),
    ignores: fc.option(
      fc.tuple(
        fc.constantFrom('', 'a/', 'b/'),
        fc.array(fc.constantFrom('out', '*.js', '!y.js', '/a/c', 'out/*', 'n'), { minLength: 1, maxLength: 2 }),
      ),
    ),
    isRepository: fc.boolean(),
    gitignore: fc.boolean(),
    allowLinks: fc.constantFrom([], ['.']),
    workingDirectory: fc.constantFrom('', 'a'),
    outputs: fc.constantFrom([], ['made'], ['*.made'], ['c/out']),
    list: fc.constantFrom('a', 'out/**'),
  })
  const counts = { told: 0, withLeft: 0, all: 0 }
  afterAll(() => {
    // It says that it cannot tell where it must, and not always.
    expect(counts.told / counts.all).toBeGreaterThan(0.4)
    expect(counts.withLeft / counts.all).toBeGreaterThan(0.15)
  })

  test('whatever files, links, globs and rules there are', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        using checkout = new Checkout({ 'a/k': 'k', list: given.list, 'a/list': given.list })
        if (given.isRepository) checkout.write('.git/HEAD', 'ref: refs/heads/main\n')
        if (given.ignores !== null) checkout.write(`${given.ignores[0]}.gitignore`, given.ignores[1].join('\n'))
        for (const thing of given.here) tryTo(() => put(checkout, thing))
        const left = disjoint(given.left)
        const outputs: OutputDeclaration[] = left.map(({ path }) => ({ kind: 'path', path }))
        const entries = left.map((thing) => asLeft(checkout, thing))
        fc.pre(isVacant(checkout.root, { outputs, entries }))
        const { patterns, gitignore, allowLinks, workingDirectory } = given
        const asked = {
          ...{ workingDirectory, outputs: given.outputs },
          inputs: { patterns, gitignore, allowLinks, allowEmpty: true },
        }
        const over = await keyedOver(checkout, left, asked)
        for (const thing of left) put(checkout, thing)
        counts.all++
        if (over === undefined) return
        counts.told++
        const inPlace = await keyOf(checkout.request(asked), { ...checkout.options(), records: undefined })
        if (inPlace.kind === 'unkeyable') throw new Error(`no key: ${inPlace.reason}`)
        const paths = treePaths(inPlace.action.inputs)
        if (left.some(({ path }) => paths.includes(path))) counts.withLeft++
        expect([treePaths(over.inputs), over.key.hash]).toEqual([paths, inPlace.action.key.hash])
        expect(over.inputs.directories()).toEqual(inPlace.action.inputs.directories())
      }),
      { numRuns: 100 },
    )
  }, 60_000)
})

test.each([
  ['by a link in the middle', { patterns: ['node_modules/lib/dist/[z].js'] }],
  ['by a link in the middle, for a folder', { patterns: ['node_modules/lib/dist'] }],
  ['by a link in the middle, for a glob', { patterns: ['node_modules/*', 'node_modules/lib/**/*.js'] }],
  ['by a link that was left itself', { patterns: ['lib/dist/current/[z].js'] }],
])('what was left is reached %s', async (_, inputs) => {
  using checkout = new Checkout({ 'lib/package.json': '{}', 'node_modules/other/x': '' })
  put(checkout, { kind: 'link', path: 'node_modules/lib', target: '../lib' })
  const left: readonly Thing[] = [
    { kind: 'file', path: 'lib/dist/[z].js', text: 'left' },
    { kind: 'file', path: 'lib/dist/z.js', text: 'left, too' },
    { kind: 'link', path: 'lib/dist/current', target: '.' },
  ]
  const over = await keyedOver(checkout, left, { inputs })
  for (const thing of left) put(checkout, thing)
  const inPlace = await checkout.keyed({ inputs })
  expect(over && treePaths(over.inputs)).toEqual(treePaths(inPlace.inputs))
  expect(over?.key).toEqual(inPlace.key)
})

test('what lies behind a link out of the root cannot be told where it leads back in', async () => {
  using checkout = new Checkout({ 'lib/k': '' })
  using outside = new Checkout()
  put(checkout, { kind: 'link', path: 'back', target: 'ROOT/lib' })
  put(checkout, { kind: 'link', path: 'out', target: outside.root })
  const over = (pattern: string) =>
    keyedOver(checkout, [{ kind: 'file', path: 'lib/x', text: 'left' }], {
      inputs: { patterns: [pattern], allowLinks: ['.'], allowEmpty: true },
    })
  expect(await over('back/x')).toBe(undefined)
  expect(await over('out/x')).not.toBe(undefined)
})

test('files that come to stand there meanwhile are not taken for what was left, nor beside it', async () => {
  using checkout = new Checkout({ 'lib/dist/x': 'of the user', 'src/a': 'a' })
  const left = [{ kind: 'file', path: 'lib/dist/x', text: 'left' }] as const
  expect(await keyedOver(checkout, left, { inputs: { patterns: ['lib/**'] } })).toBe(undefined)
  expect(await keyedOver(checkout, left, { inputs: { patterns: ['src'] } })).not.toBe(undefined)
})

describe('a program is looked for', () => {
  const tool = (path: string) => ({ kind: 'file', path, text: '#!/bin/sh\n', isExecutable: true }) as const
  /** A checkout whose command is found at the end of PATH, outside of it. */
  function withTool(searchPath: readonly string[], argv: readonly string[] = ['tool']) {
    const checkout = new Checkout({ 'src/a': 'a' })
    const outside = new Checkout()
    outside.write('tool', '#!/usr/bin/env interp\n', 0o755)
    outside.write('interp', 'x', 0o755)
    const PATH = [...searchPath.map((folder) => folder.replace('ROOT', checkout.root)), outside.root].join(delimiter)
    const asked = {
      argv,
      inputs: { patterns: ['src'] },
      environment: { source: { PATH }, keyed: [], passed: [], normalize: [] },
    }
    return {
      checkout,
      outside,
      over: (...left: readonly Thing[]) => keyedOver(checkout, left, asked),
      [Symbol.dispose]() {
        checkout[Symbol.dispose]()
        outside[Symbol.dispose]()
      },
    }
  }

  test.each([
    ['elsewhere', ['ROOT/bin'], 'lib/tool'],
    ['beside another', ['ROOT/bin'], 'bin/other'],
    ['below a file', ['ROOT/src/a'], 'lib/tool'],
    ['below a folder that is nowhere', ['/nowhere/bin', 'ROOT/none/bin', ''], 'lib/tool'],
  ])('past what was left %s', async (_, searchPath, left) => {
    using one = withTool(searchPath)
    expect((await one.over(tool(left)))?.program).toBe(one.outside.path('tool'))
  })

  test.each([
    ['there', ['ROOT/bin'], 'bin/tool'],
    ['there, relative to the working directory', ['bin'], 'bin/tool'],
    ['there, as its interpreter', ['ROOT/bin'], 'bin/interp'],
    ['there under a name that some systems take for the same', ['ROOT/bin'], 'bin/TOOL'],
  ])('and cannot be told where it was left %s', async (_, searchPath, left) => {
    using one = withTool(searchPath)
    expect(await one.over(tool(left))).toBe(undefined)
  })

  test('and cannot be told where a link leads nowhere yet, be it of the program, its folder, or outside', async () => {
    for (const [link, target, searchPath] of [
      ['bin/tool', '../lib/tool', 'ROOT/bin'],
      ['bin', 'lib', 'ROOT/bin'],
      ['bin', 'lib', 'ROOT/bin/deep'],
    ] as const) {
      using one = withTool([searchPath])
      expect(await one.over(tool('lib/other'))).not.toBe(undefined)
      put(one.checkout, { kind: 'link', path: link, target })
      expect(await one.over(tool('lib/tool'), tool('lib/deep/tool')), `${link} ${searchPath}`).toBe(undefined)
    }
    using one = withTool([])
    symlinkSync(one.checkout.root, one.outside.path('in'))
    symlinkSync(one.checkout.path('lib'), one.outside.path('to-come'))
    for (const program of ['in/lib/tool', 'to-come/tool', 'to-come/deep/tool']) {
      const asked = { argv: [one.outside.path(program)], inputs: { patterns: ['src'] } }
      expect(await keyedOver(one.checkout, [tool('lib/tool'), tool('lib/deep/tool')], asked)).toBe(undefined)
    }
  })

  test('and is no hindrance where it is found before all that', async () => {
    using one = withTool([], ['/bin/sh', '-c', 'tool'])
    expect(await one.over(tool('bin/tool'))).not.toBe(undefined)
  })
})

describe('nothing stands in the place of what was left', () => {
  const file = (path: string) => ({ kind: 'file', path, text: '1' }) as const
  function isFree(checkout: Checkout, outputs: readonly OutputDeclaration[], ...left: readonly Thing[]): boolean {
    return isVacant(checkout.root, { outputs, entries: left.map((thing) => asLeft(checkout, thing)) })
  }
  const dist = [{ kind: 'path', path: 'a/dist' }] as const
  const globs = [{ kind: 'glob', path: 'a/**/*.x' }] as const

  test('where there is neither the folder nor what matches', () => {
    using checkout = new Checkout({ 'a/b/other': '', 'a/distant': '' })
    expect(isFree(checkout, dist, file('a/dist/x'))).toBe(true)
    expect(isFree(checkout, [{ kind: 'path', path: 'new/deep/dist' }], file('new/deep/dist/x'))).toBe(true)
    expect(isFree(checkout, globs, file('a/b/1.x'), file('a/c/2.x'))).toBe(true)
  })

  test('but not where either is, or a folder is a link or a file', () => {
    using checkout = new Checkout({ 'a/dist/own': '', 'a/c/2.x': '', 'a/b/other': '', file: '' })
    symlinkSync('a', checkout.path('l'))
    symlinkSync('nowhere', checkout.path('a/m'))
    expect(isFree(checkout, dist, file('a/dist/x'))).toBe(false)
    expect(isFree(checkout, globs, file('a/b/1.x'), file('a/c/2.x'))).toBe(false)
    expect(isFree(checkout, [{ kind: 'path', path: 'l/new' }], file('l/new'))).toBe(false)
    expect(isFree(checkout, [{ kind: 'path', path: 'l/deep/new' }], file('l/deep/new'))).toBe(false)
    expect(isFree(checkout, [{ kind: 'path', path: 'l/b/new' }], file('l/b/new'))).toBe(false)
    expect(isFree(checkout, [{ kind: 'path', path: 'a/m' }], file('a/m'))).toBe(false)
    expect(isFree(checkout, [{ kind: 'path', path: 'file/new' }], file('file/new'))).toBe(false)
  })

  test('and no two results have the same place, or one that some systems take for the same', () => {
    using checkout = new Checkout()
    const view = (...left: readonly Thing[]) =>
      new ViewWithLeft(
        checkout.root,
        left.map((thing) => asLeft(checkout, thing)),
      )
    expect(() => view(file('a/x'), file('a/y'), { kind: 'directory', path: 'a' })).not.toThrow()
    expect(() => view(file('a/x'), file('a/x'))).toThrow(Unsure)
    expect(() => view(file('a/x'), file('A/y'))).toThrow(Unsure)
    expect(() => view(file('a'), file('a/x'))).toThrow(Unsure)
    expect(() => view(file('\u00e9'), file('e\u0301'))).toThrow(Unsure)
  })
})

function tryTo(act: () => void): void {
  try {
    act()
  } catch {
    // It would lie in a file, or where something lies already.
  }
}

/** Those that can stand beside each other. */
function disjoint(things: readonly Thing[]): Thing[] {
  const kept: Thing[] = []
  for (const thing of things) {
    const meets = ({ path, kind }: Thing) =>
      path.toLowerCase() === thing.path.toLowerCase() ||
      (thing.path.startsWith(`${path}/`) && kind !== 'directory') ||
      (path.startsWith(`${thing.path}/`) && thing.kind !== 'directory')
    if (!kept.some(meets)) kept.push(thing)
  }
  return kept
}
