import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RunNotice } from '../../src/action/run-outcome.ts'
import { openCache } from '../../src/cache.ts'

let folder: string
let root: string
let cacheDir: string
const surroundings = ['XDG_CACHE_HOME', 'TMPDIR'] as const
const before = new Map(surroundings.map((name) => [name, process.env[name]]))

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'recue-read-only-')))
  root = join(folder, 'project')
  cacheDir = join(folder, 'cache')
  for (const name of ['project', 'tmp']) mkdirSync(join(folder, name))
  process.env.XDG_CACHE_HOME = join(folder, 'usual')
  process.env.TMPDIR = join(folder, 'tmp')
  writeFileSync(join(root, 'in.txt'), 'input\n')
  await using cache = await openCache({ cacheDir })
  expect(await cache.run(copying())).toMatchObject({ status: 'miss', exitCode: 0 })
})

afterEach(() => {
  for (const name of surroundings) {
    const value = before.get(name)
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  rmSync(folder, { recursive: true, force: true })
})

function copying(more = '') {
  const command = ['sh', '-c', `echo said; cat in.txt >out.txt; echo ran >>../runs.log; ${more}`]
  return { command, root, cwd: root, inputs: ['in.txt'], outputs: ['out.txt'] }
}

/** Every file of the cache folder with what changes when it is written. */
function stateOf(dir: string): string[] {
  const files = readdirSync(dir, { recursive: true }).map(String).sort()
  return files.map((name) => {
    const { mtimeMs, size, ino } = statSync(join(dir, name))
    return `${name} ${mtimeMs} ${size} ${ino}`
  })
}

async function readOnlyRun(more = '') {
  const notices: RunNotice[] = []
  const stdout: Uint8Array[] = []
  await using cache = await openCache({ cacheDir, readOnly: true })
  const sink = { stdout: (chunk: Uint8Array) => void stdout.push(chunk), stderr: () => undefined }
  const outcome = await cache.run(copying(more), { sink, notice: (notice) => notices.push(notice) })
  return {
    ...outcome,
    stdout: Buffer.concat(stdout).toString(),
    notices: notices.filter(({ kind }) => kind !== 'started'),
  }
}

function runs(): number {
  return readFileSync(join(folder, 'runs.log'), 'utf8').split('\n').length - 1
}

test('what a read-only cache has is restored and replayed, without a word and without a change to its folder', async () => {
  const untouched = stateOf(cacheDir)
  for (const prepare of [() => rmSync(join(root, 'out.txt')), () => {}]) {
    prepare()
    expect(await readOnlyRun()).toMatchObject({ status: 'hit', exitCode: 0, stdout: 'said\n', notices: [] })
    expect(readFileSync(join(root, 'out.txt'), 'utf8')).toBe('input\n')
  }
  expect(runs()).toBe(1)
  expect(stateOf(cacheDir)).toEqual(untouched)
})

test('what it has not is run, is not kept, and that is said', async () => {
  const untouched = stateOf(cacheDir)
  for (let times = 0; times < 2; times++) {
    const outcome = await readOnlyRun('exit 3')
    expect(outcome).toMatchObject({ status: 'uncached', exitCode: 3, stdout: 'said\n' })
    expect(outcome.reason).toContain('the cache folder cannot be written')
  }
  expect(runs()).toBe(3)
  expect(stateOf(cacheDir)).toEqual(untouched)
})

test('it remembers in another folder what it restored, and moves what is not its own to the trash there', async () => {
  rmSync(join(root, 'out.txt'))
  await readOnlyRun()
  writeFileSync(join(root, 'out.txt'), 'mine')
  const trash = join(folder, 'usual/recue/trash')
  const { notices } = await readOnlyRun()
  expect(notices).toEqual([{ kind: 'trashed', paths: ['out.txt'], trash }])
  const [moved = ''] = readdirSync(trash, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('out.txt'))
  expect(readFileSync(join(trash, moved), 'utf8')).toBe('mine')
})

test('where the usual folder cannot be had, that other folder is a temporary one', async () => {
  writeFileSync(join(folder, 'usual'), 'a file')
  rmSync(join(root, 'out.txt'))
  expect(await readOnlyRun()).toMatchObject({ status: 'hit', notices: [] })
  expect(readdirSync(join(folder, 'tmp'))).toEqual([expect.stringMatching(/^recue-/)])
})

test('nor is the usual folder written, where that is the read-only one', async () => {
  cacheDir = join(folder, 'usual/recue')
  {
    await using cache = await openCache({ cacheDir })
    await cache.run(copying())
  }
  const untouched = stateOf(cacheDir)
  rmSync(join(root, 'out.txt'))
  expect(await readOnlyRun()).toMatchObject({ status: 'hit', notices: [] })
  expect(stateOf(cacheDir)).toEqual(untouched)
  expect(readdirSync(join(folder, 'tmp'))).toEqual([expect.stringMatching(/^recue-/)])
})

test('where no folder can be written, the command runs', async () => {
  writeFileSync(join(folder, 'usual'), 'a file')
  process.env.TMPDIR = join(folder, 'usual')
  rmSync(join(root, 'out.txt'))
  const outcome = await readOnlyRun()
  expect(outcome).toMatchObject({ status: 'bypassed', exitCode: 0, stdout: 'said\n', notices: [] })
  expect(existsSync(join(root, 'out.txt'))).toBe(true)
})

test('a function is no other case', async () => {
  await using cache = await openCache({ cacheDir, readOnly: true })
  expect(cache.readOnly).toBe(true)
  const work = { name: 'twice', root, cwd: root, fn: () => 4 }
  expect(await cache.run(work)).toMatchObject({ value: 4, outcome: { status: 'uncached' } })
})

test('nothing can be removed from it, and the hint says what to look at', async () => {
  await using cache = await openCache({ cacheDir, readOnly: true })
  await expect(cache.gc()).rejects.toMatchObject({
    code: 'store.read-only',
    hint: expect.stringContaining('permissions'),
  })
})
