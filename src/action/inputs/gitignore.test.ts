import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Checkout } from '../key/key.fixture.ts'
import { noIgnoreRules } from './gitignore.ts'

test('a deeper file wins, and nothing comes back in an ignored folder', () => {
  const rules = noIgnoreRules().with('', '*.log\nfoo\nbuild/\n').with('a', '!keep.log\n!foo\n/only\n')
  expect(rules.ignores('x.log')).toBe(true)
  expect(rules.ignores('a/keep.log')).toBe(false)
  expect(rules.ignores('a/b/keep.log')).toBe(false)
  expect(rules.ignores('a/foo/x')).toBe(false)
  expect(rules.ignores('b/foo/x')).toBe(true)
  expect(rules.ignores('a/only')).toBe(true)
  expect(rules.ignores('a/b/only')).toBe(false)
  expect(rules.ignores('build/keep.log')).toBe(true)
  expect(rules.ignores('build')).toBe(false)
})

test('case counts', () => {
  expect(noIgnoreRules().with('', 'Dist').ignores('dist')).toBe(false)
})

// Names and patterns from a small alphabet, so that they meet often.
const name = fc.constantFrom('a', 'b', 'ab', 'a.b', '[a]', 'x y', '#a', '!a')
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'))
const piece = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '?', '**', '[ab]', '\\[a\\]', 'x y', '\\#a', '*.b')
const pattern = fc
  .tuple(
    fc.boolean(),
    fc.constantFrom('', '/'),
    fc.array(piece, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('', '/'),
  )
  .map(([isNegated, before, pieces, after]) => `${isNegated ? '!' : ''}${before}${pieces.join('/')}${after}`)
const ignoreFile = fc.array(pattern, { maxLength: 3 }).map((lines) => lines.join('\n'))

test('says what git says, over several levels', () => {
  fc.assert(
    fc.property(
      ignoreFile,
      ignoreFile,
      ignoreFile,
      fc.uniqueArray(path, { minLength: 1, maxLength: 12 }),
      (top, inA, inBracket, paths) => {
        using checkout = new Checkout()
        checkout.git('init', '-q')
        const files = paths.filter((file) => !paths.some((other) => other.startsWith(`${file}/`)))
        for (const file of files) checkout.write(file, '')
        const folders = new Set(
          files.flatMap((file) => file.split('/').map((_, i, names) => names.slice(0, i).join('/'))),
        )
        let rules = noIgnoreRules().with('', top)
        checkout.write('.gitignore', top)
        for (const [folder, text] of [['a', inA] as const, ['[a]', inBracket] as const]) {
          if (!folders.has(folder)) continue
          checkout.write(`${folder}/.gitignore`, text)
          rules = rules.with(folder, text)
        }
        const listed = checkout.git('ls-files', '-z', '--others', '--exclude-per-directory=.gitignore').split('\0')
        for (const file of files) expect([file, rules.ignores(file)]).toEqual([file, !listed.includes(file)])
      },
    ),
    { numRuns: 60 },
  )
})

test('git is there to compare with', () => {
  expect(execFileSync('git', ['--version'], { encoding: 'utf8' })).toContain('git version')
})
