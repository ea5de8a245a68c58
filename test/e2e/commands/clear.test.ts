import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench } from '../../fixtures/commands.ts'

test('clear removes the cache and the folder, and the next run starts anew', async () => {
  using bench = new Bench()
  await bench.build()
  const { code, stdout } = await bench.recue(['clear', '--yes'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^Removed .* from .*cache\.\n$/)
  expect(existsSync(bench.cacheDir)).toBe(false)
  expect(await bench.recue(['clear', '--yes'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/There is nothing in/),
  })
  expect((await bench.build()).stderr).toContain('miss')
})

test('without a terminal it asks for --yes and removes nothing', async () => {
  using bench = new Bench()
  await bench.build()
  expect(await bench.recue(['clear'])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/holds .*\n.*no terminal.*\n.*--yes/),
  })
  expect((await bench.build()).stderr).toContain('hit')
})

test('what recue did not make stays', async () => {
  using bench = new Bench()
  await bench.build()
  const mine = [
    'mine.txt',
    'journal/mine.txt',
    'blobs/mine',
    'blobs/ab/notes.txt',
    'ledger/mine.log',
    'tmp/mine',
    'index.db.bak',
  ]
  mkdirSync(join(bench.cacheDir, 'blobs/ab'), { recursive: true })
  for (const path of mine) writeFileSync(join(bench.cacheDir, path), 'mine')
  expect(await bench.recue(['clear', '--yes'])).toMatchObject({ code: 0 })
  for (const path of mine) expect(readFileSync(join(bench.cacheDir, path), 'utf8')).toBe('mine')
  expect(existsSync(join(bench.cacheDir, 'index.db'))).toBe(false)
})

test('nothing is removed through a link', async () => {
  using bench = new Bench()
  await bench.build()
  const outside = join(bench.base, 'outside')
  renameSync(join(bench.cacheDir, 'journal'), outside)
  symlinkSync(outside, join(bench.cacheDir, 'journal'))
  const blobs = join(bench.base, 'other-blobs')
  mkdirSync(join(blobs, 'ab'), { recursive: true })
  writeFileSync(join(blobs, 'ab', 'a'.repeat(64)), 'mine')
  renameSync(join(bench.cacheDir, 'blobs'), join(bench.base, 'old-blobs'))
  symlinkSync(blobs, join(bench.cacheDir, 'blobs'))
  const before = readdirSync(outside)
  expect(before.length).toBeGreaterThan(0)
  expect(await bench.recue(['clear', '--yes'])).toMatchObject({ code: 0 })
  expect(readdirSync(outside)).toEqual(before)
  expect(readdirSync(join(blobs, 'ab'))).toHaveLength(1)
})

test('the trash stays unless it is asked for', async () => {
  using bench = new Bench()
  await bench.build()
  const trashed = join(bench.cacheDir, 'trash/2026-11-21T12-00-00-000Z-abcdef/dist')
  mkdirSync(trashed, { recursive: true })
  writeFileSync(join(trashed, 'mine.txt'), 'mine')
  await bench.recue(['clear', '--yes'])
  expect(readFileSync(join(trashed, 'mine.txt'), 'utf8')).toBe('mine')
})

test.each([
  ['the home folder', (bench: Bench) => join(bench.base, 'home')],
  ['what contains it', (bench: Bench) => bench.base],
  ['the project', (bench: Bench) => bench.root],
])('%s is refused', async (_, folderOf) => {
  using bench = new Bench()
  const folder = folderOf(bench)
  mkdirSync(join(bench.base, 'home/journal'), { recursive: true })
  for (const name of ['index.db', 'journal/00000001.seg', 'notes.txt'])
    writeFileSync(join(bench.base, 'home', name), 'mine')
  const before = readdirSync(folder, { recursive: true })
  expect(await bench.recue(['clear', '--yes'], { RECUE_CACHE_DIR: folder })).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/is not cleared/),
  })
  expect(readdirSync(folder, { recursive: true })).toEqual(before)
})

test('the home folder is refused even if it looks like a cache', async () => {
  using bench = new Bench()
  await bench.build()
  const before = readdirSync(bench.cacheDir, { recursive: true })
  expect(await bench.recue(['clear', '--yes'], { HOME: bench.cacheDir })).toMatchObject({ code: 125 })
  expect(readdirSync(bench.cacheDir, { recursive: true })).toEqual(before)
})
