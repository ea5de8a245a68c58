import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCache } from '../../src/cache.ts'

let folder: string
let root: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-in-turn-'))
  root = join(folder, 'project')
  mkdirSync(root)
  writeFileSync(join(root, 'in.txt'), 'input')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A run with a store of its own, so that only what lies in the folder can keep it from running. */
async function run(script: string, outputs: readonly string[], options: { readonly waitMs?: number } = {}) {
  await using cache = await openCache({ cacheDir: join(folder, 'cache') })
  return cache.run(
    { shell: script, root, cwd: root, inputs: ['in.txt'], implicitInputs: false, outputs: [...outputs] },
    { scratch: ['**'], ...options },
  )
}

const log = () => readFileSync(join(folder, 'log'), 'utf8').trim().split('\n')
const logged = (name: string) => `echo ${name} begins >>../log; sleep 0.1; echo ${name} ends >>../log;`

async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !isTrue(); i++) await new Promise((wake) => setTimeout(wake, 10))
  expect(isTrue()).toBe(true)
}

test.each([
  [['dist'], ['dist/js']],
  [['dist/js'], ['dist']],
  [
    ['dist/js', 'z'],
    ['a', 'dist'],
  ],
  [
    ['a', 'dist'],
    ['dist/js', 'z'],
  ],
  [['dist'], ['dist/*.js']],
  [['dist/*.js'], ['dist/a*']],
])('who writes %j keeps who writes %j waiting', async (first, second) => {
  const hold = 'until [ -e ../go ]; do sleep 0.02; done;'
  const one = run(`${logged('one')} ${hold} echo one leaves >>../log`, first)
  await until(() => existsSync(join(folder, 'log')) && log().includes('one ends'))
  let hasEnded = false
  const other = run(logged('other'), second).finally(() => {
    hasEnded = true
  })
  await expect(run('exit 0', second, { waitMs: 50 })).rejects.toMatchObject({ code: 'wait.timed-out' })
  expect(hasEnded).toBe(false)
  writeFileSync(join(folder, 'go'), '')
  await Promise.all([one, other])
  expect(log()).toEqual(['one begins', 'one ends', 'one leaves', 'other begins', 'other ends'])
})

test.each([
  [['dist/a'], ['dist/b']],
  [['dist/*.js'], ['dist/*.css']],
  [['dist'], ['dist2']],
])('who writes %j and who writes %j run at the same time', async (first, second) => {
  const meet = (own: string, other: string) => `touch ../${own}; until [ -e ../${other} ]; do sleep 0.02; done`
  const ends = await Promise.all([run(meet('one', 'other'), first), run(meet('other', 'one'), second)])
  expect(ends.map(({ exitCode }) => exitCode)).toEqual([0, 0])
})

test('of many that nest, no two run at once that clash, and all come to their end', async () => {
  const sets = [['a'], ['a/b'], ['a/b/c', 'x'], ['a/d', 'x/y'], ['x'], ['a/*.js', 'x/y/z'], ['a/b/c/d', 'a/d/e']]
  await Promise.all(sets.map((outputs, i) => run(logged(String(i)), outputs)))
  const clashes = (i: number, j: number) =>
    sets[i]?.some((a) => sets[j]?.some((b) => a === b || `${b}/`.startsWith(`${a}/`) || `${a}/`.startsWith(`${b}/`)))
  const running = new Set<number>()
  for (const [name, what] of log().map((line) => line.split(' '))) {
    if (what === 'ends') running.delete(Number(name))
    else {
      for (const other of running)
        expect([name, other, clashes(Number(name), other) ?? false]).toEqual([name, other, false])
      running.add(Number(name))
    }
  }
  expect(log().length).toBe(2 * sets.length)
})

test('a run inside another does not wait for the outputs that this one holds', async () => {
  const library = join(import.meta.dirname, '../../src/library.ts')
  const inner = join(folder, 'inner.ts')
  writeFileSync(
    inner,
    `import { openCache } from '${library}'
     await using cache = await openCache({ cacheDir: '${join(folder, 'cache')}' })
     const { exitCode } = await cache.run({ shell: 'mkdir -p dist/js; echo js >dist/js/a.js', root: '${root}', cwd: '${root}', inputs: ['in.txt'], outputs: ['dist/js'], implicitInputs: false })
     process.exitCode = exitCode`,
  )
  const outcome = await run(`'${process.execPath}' '${inner}'`, ['dist'])
  expect(outcome).toMatchObject({ status: 'miss', exitCode: 0, outputs: ['dist/js/a.js'] })
})
