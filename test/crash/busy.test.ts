import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { checkEntry, SMALL, saveEntry } from './entries.ts'
import { filesBelow } from './store-checks.ts'

const SHAPE = { ...SMALL, largeBytes: 1_100_000 }
const CLI = join(import.meta.dirname, '../../src/cli/main.ts')
let dir: string
let cache: string

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-busy-'))
  cache = join(dir, 'cache')
  await using store = await openLocalStore({ dir: cache })
  await saveEntry(store, 'old', SHAPE)
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** What another process does that hangs in the middle of a write. */
function foreignLock(): Disposable {
  const db = new DatabaseSync(join(cache, 'index.db'))
  db.exec('BEGIN IMMEDIATE')
  return { [Symbol.dispose]: () => db.close() }
}

const sizesOf = (folder: string) => [...filesBelow(join(cache, folder))]

test('a writer that others keep out gives up with store.busy and leaves nothing; readers are answered all the while', async () => {
  await using store = await openLocalStore({ dir: cache })
  {
    using _lock = foreignLock()
    const before = [sizesOf('journal'), sizesOf('blobs')]
    let isWaiting = true
    const save = saveEntry(store, 'new', SHAPE).finally(() => {
      isWaiting = false
    })
    save.catch(() => undefined)
    let answered = 0
    for (; isWaiting; answered++) {
      expect(await checkEntry(store, 'old', SHAPE)).toBe('whole')
      await turn()
    }
    await expect(save).rejects.toMatchObject({ code: 'store.busy', hint: expect.stringContaining('hanging') })
    expect(answered).toBeGreaterThan(20)
    expect(await checkEntry(store, 'new', SHAPE)).toBe('absent')
    // The large one of the same save may still be on its way to the same answer.
    await expect(saveEntry(store, 'another', SHAPE)).rejects.toMatchObject({ code: 'store.busy' })
    expect([sizesOf('journal'), sizesOf('blobs')]).toEqual(before)
  }
  await saveEntry(store, 'new', SHAPE)
  expect(await checkEntry(store, 'new', SHAPE)).toBe('whole')
})

test('a run beside a writer that hangs runs its command, and is not kept', async () => {
  using _lock = foreignLock()
  const project = join(dir, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'in.txt'), 'in')
  const child = spawn(process.execPath, [CLI, 'run', '-i', 'in.txt', '--', 'sh', '-c', 'echo said'], {
    cwd: project,
    env: { ...process.env, RECUE_CACHE_DIR: cache },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  expect([stdout, code]).toEqual(['said\n', 0])
  expect(stderr).toContain('not kept')
})
