import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { clashingOutputs, declareOutputs, refuseInputsAmong } from './output-declarations.ts'

const sandbox = realpathSync(mkdtempSync(join(tmpdir(), 'recue-declare-')))
const home = join(sandbox, 'home')
const root = join(home, 'project')
const place = { root, workingDirectory: 'packages/a', home, cacheDir: join(root, 'node_modules/.cache/recue') }
for (const folder of ['packages/a', '.git', 'src', 'vendor/lib/.git'])
  mkdirSync(join(root, folder), { recursive: true })
mkdirSync(join(sandbox, 'outside'))
symlinkSync('../../outside', join(root, 'out-link'))
symlinkSync('.git', join(root, 'git-link'))
symlinkSync('src', join(root, 'src-link'))
symlinkSync(root, join(sandbox, 'alias'))
writeFileSync(join(root, 'src/input.js'), 'input')
afterAll(() => rmSync(sandbox, { recursive: true }))

const declare = (...patterns: string[]) => declareOutputs(patterns, place).map(({ path }) => path)

describe('refused', () => {
  test.each([
    ['', 'is empty'],
    ['.', 'is the working directory'],
    ['.', 'is the working directory'],
    ['..', 'contains the working directory'],
    ['../..', 'is the root'],
    ['../../..', 'outside'],
    ['../../../elsewhere', 'outside'],
    ['~', 'outside'],
    ['~/project', 'is the root'],
    ['/', 'outside'],
    ['/etc/passwd', 'outside'],
    [root, 'is the root'],
    [home, 'outside'],
    ['../../packages', 'contains the working directory'],
    ['../../.git', 'is in .git'],
    ['../../.git/hooks', 'is in .git'],
    ['../../.GIT/hooks', 'is in .git'],
    ['sub/.git/config', 'is in .git'],
    ['../../vendor/lib', 'contains .git'],
    ['../../node_modules', 'contains the cache folder'],
    ['../../node_modules/.cache/recue', 'is the cache folder'],
    ['../../node_modules/.cache/recue/trash', 'is in the cache folder'],
    ['../../out-link/dist', 'leads out of the root'],
    ['../../git-link/hooks', 'is in .git'],
    ['../../out-link/*.js', 'leads out of the root'],
    ['**', 'matches everything'],
    ['*', 'matches everything'],
    ['../../**/*', 'matches everything'],
    ['../../../*.js', 'outside'],
    ['../../.git/*', 'is in .git'],
    ['*/../../..', 'goes up behind a wildcard'],
    ['!dist', 'is a negation'],
    ['a\0b', 'zero byte'],
  ])('%j: %s', (pattern, reason) => {
    expect(() => declare(pattern)).toThrow(
      expect.objectContaining({ code: 'output.refused', message: expect.stringContaining(reason) }),
    )
  })

  test('a home folder in the root', () => {
    const inside = { ...place, workingDirectory: '', home: join(root, 'users/me') }
    expect(() => declareOutputs(['users'], inside)).toThrow('contains your home folder')
    expect(() => declareOutputs(['users/me'], inside)).toThrow('is your home folder')
    expect(declareOutputs(['users/me/dist'], inside)).toEqual([{ kind: 'path', path: 'users/me/dist' }])
  })
})

describe('declared', () => {
  test('relative to the root, sorted, whatever way they are written', () => {
    expect(declare('dist', './lib/', `${root}/packages/b`, '../c', '*.map')).toEqual([
      'packages/a/*.map',
      'packages/a/dist',
      'packages/a/lib',
      'packages/b',
      'packages/c',
    ])
  })

  test('an absolute path through a link to the root', () => {
    expect(declare(join(sandbox, 'alias/packages/a/dist'))).toEqual(['packages/a/dist'])
  })

  test('through a link in the root', () => {
    expect(declare('../../src-link/gen')).toEqual(['src-link/gen'])
  })

  test('a link is itself the output, wherever it points', () => {
    expect(declare('../../out-link')).toEqual(['out-link'])
  })

  test('names that look like patterns, when quoted', () => {
    expect(declareOutputs(['pages/\\[id\\].js'], place)).toEqual([{ kind: 'path', path: 'packages/a/pages/[id].js' }])
    expect(declareOutputs(['-x', 'new\nline', ' '], place).map(({ kind }) => kind)).toEqual(['path', 'path', 'path'])
  })

  test('equal and nested ones once', () => {
    expect(declare('dist', 'dist/', 'dist/js/main.js', 'dist/**/*.map', 'distant', '*.map', '*.map')).toEqual([
      'packages/a/*.map',
      'packages/a/dist',
      'packages/a/distant',
    ])
  })
})

describe('inputs among them', () => {
  const inputs = { has: (path: string) => path === 'src/input.js' }
  const workspace = { root, cacheDir: place.cacheDir }
  test.each([['src'], ['src/input.js'], ['src/*.js'], ['**/*.js']])('%s is refused', async (pattern) => {
    const outputs = declareOutputs([pattern], { ...place, workingDirectory: '' })
    await expect(refuseInputsAmong(outputs, inputs, workspace)).rejects.toMatchObject({ code: 'output.refused' })
  })

  test('what has none is not', async () => {
    const outputs = declareOutputs(['dist', 'src/gen', 'src/*.map', 'vendor/other'], { ...place, workingDirectory: '' })
    await refuseInputsAmong(outputs, inputs, workspace)
  })
})

describe('two tasks', () => {
  const of = (pattern: string) => declareOutputs([pattern], { ...place, workingDirectory: '' })
  test.each([
    ['dist', 'dist', true],
    ['dist', 'dist/js', true],
    ['dist/js', 'dist', true],
    ['dist', 'dist/*.js', true],
    ['dist/*.js', 'dist/main.js', true],
    ['gen/*.js', 'gen/*.js', true],
    ['dist', 'dist2', false],
    ['dist/js', 'dist/css', false],
    ['dist/*.js', 'dist/main.css', false],
    ['dist/*.js', 'dist/*', true],
    ['dist/*.js', 'dist/*.css', false],
  ])('%s and %s: %s', async (a, b, clashes) => {
    expect((await clashingOutputs(of(a), of(b))) !== undefined).toBe(clashes)
  })
})
