import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { type EntryShape, SMALL, saveEntry } from './entries.ts'
import { COMPILED } from './processes.ts'
import { entriesOfStore, expectTidy, wholeEntries } from './store-checks.ts'

const SHAPE: EntryShape = { ...SMALL, fileBytes: 3000, largeBytes: 1_100_000 }
const WORKER = join(import.meta.dirname, 'worker.ts')
const CLI = join(import.meta.dirname, '../../src/cli/main.ts')
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-scarce-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('out of file handles at any place: what was acknowledged is there, and what was not leaves nothing', async () => {
  const acknowledged: string[] = []
  for (let handles = 23; handles < 34; handles += 2) {
    const args = [WORKER, dir, 'save', `h${handles}`, '1', String(SHAPE.largeBytes)]
    const script = `ulimit -n ${handles}; exec "$@"`
    const { stdout } = spawnSync('sh', ['-c', script, 'sh', process.execPath, ...args], { encoding: 'utf8' })
    acknowledged.push(...stdout.split('\n').flatMap((line) => (line.startsWith('saved ') ? [line.slice(6)] : [])))
  }
  expect(acknowledged.length).toBeGreaterThan(0)
  expect(acknowledged.length).toBeLessThan(6)
  await expectTidy(dir)
  expect(await entriesOfStore(dir, acknowledged, SHAPE)).toEqual(acknowledged)
})

test('out of file handles at any place: the command runs if it can be started, and what is said tells what to do', () => {
  const ends = [24, 26, 28, 30, 31, 36].map((handles) => {
    const folder = join(dir, `run-${handles}`)
    mkdirSync(join(folder, 'src'), { recursive: true })
    writeFileSync(join(folder, 'src/a'), 'a')
    const command = ['sh', '-c', 'mkdir -p dist; cat src/a > dist/a; echo made']
    const args = [CLI, 'run', '--cache-dir', join(folder, 'cache'), '-i', 'src', '-o', 'dist', '--', ...command]
    const script = `ulimit -n ${handles}; exec "$@"`
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', process.execPath, ...args], {
      cwd: folder,
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
      encoding: 'utf8',
    })
    expect(stderr).not.toContain('bug in recue')
    if (status === 0) expect([stdout, readFileSync(join(folder, 'dist/a'), 'utf8')], stderr).toEqual(['made\n', 'a'])
    else expect(stderr).toMatch(/ulimit -n|too many open files/)
    if (/not kept|not used/.test(stderr)) expect(stderr).toContain('ulimit -n')
    return { isUncached: status === 0 && /not kept|not used/.test(stderr), isKept: / kept 1 file/.test(stderr) }
  })
  expect(ends.filter(({ isUncached }) => isUncached).length).toBeGreaterThan(0)
  expect(ends.at(-1)?.isKept).toBe(true)
})

test('a clock that is set back a year: nothing is lost, and what is put then is there', async () => {
  const year = 365 * 86_400_000
  {
    await using store = await openLocalStore({ dir })
    await saveEntry(store, 'before', SHAPE)
  }
  {
    await using store = await openLocalStore({ dir, now: () => Date.now() - year })
    expect(await wholeEntries(store, ['before'], SHAPE)).toEqual(['before'])
    await saveEntry(store, 'since', SHAPE)
    await store.catalog.collect()
    expect(await wholeEntries(store, ['before', 'since'], SHAPE)).toEqual(['before', 'since'])
  }
  rmSync(join(dir, 'index.db'))
  expect(await entriesOfStore(dir, ['before', 'since'], SHAPE)).toEqual(['before', 'since'])
})

test('a file system that is read-only: what is there is read, and a save says what to do', async ({ skip }) => {
  const cache = join(dir, 'cache')
  {
    await using store = await openLocalStore({ dir: cache })
    await saveEntry(store, 'there', SHAPE)
  }
  const mounted = join(dir, 'mounted')
  mkdirSync(mounted)
  const isMounted =
    spawnSync('mount', ['--bind', cache, mounted]).status === 0 &&
    spawnSync('mount', ['-o', 'remount,bind,ro', mounted]).status === 0
  if (!isMounted) console.log('skipped: a read-only file system cannot be mounted here')
  skip(!isMounted, 'cannot be mounted here')
  try {
    await using store = await openLocalStore({ dir: mounted, readOnly: true })
    expect(await wholeEntries(store, ['there'], SHAPE)).toEqual(['there'])
    await expect(saveEntry(store, 'new', SHAPE)).rejects.toMatchObject({ code: 'store.read-only' })
    const opened = await openLocalStore({ dir: mounted }).then(
      async (writable) => {
        await using _ = writable
        return await saveEntry(writable, 'new', SHAPE).catch((error: { code?: string }) => error.code)
      },
      (error: { code?: string }) => error.code,
    )
    expect(['store.unusable', 'store.read-only']).toContain(opened)
  } finally {
    spawnSync('umount', ['-l', mounted])
  }
})
