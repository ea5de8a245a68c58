import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type LegacyCacheOptions, openLegacyCache } from './legacy-cache.ts'
import type { LegacyTask, LegacyTaskConfig } from './legacy-task.ts'

let dir: string
let workingDir: string
beforeEach(() => {
  const folder = mkdtempSync(path.join(tmpdir(), 'recue-legacy-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  dir = path.join(folder, 'deep/cache')
  workingDir = path.join(folder, 'work')
  put('src/a.txt', 'alpha')
  put('out/r.txt', 'result')
})

function put(name: string, content: string): void {
  const file = path.join(workingDir, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, content)
}

const task = (config: LegacyTaskConfig = {}): LegacyTask => ({
  name: 'build',
  workingDir,
  config: { command: 'make', inputs: ['src/**'], outputs: ['out/**'], cache: true, ...config },
})
const open = (options: Partial<LegacyCacheOptions> = {}) => openLegacyCache({ dir, ...options })
const names = (folder = '') => readdirSync(path.join(dir, folder)).sort()
const text = (name: string) => readFileSync(path.join(dir, name), 'utf8')
const DAY_MS = 86_400_000

async function saved(options: Partial<LegacyCacheOptions> = {}, config: LegacyTaskConfig = {}): Promise<string> {
  const cache = open(options)
  const key = cache.key(task(config))
  await cache.save(key, task(config), 0)
  return key
}

describe('the folder', () => {
  test('is made as the old tool made it', async () => {
    const key = await saved()
    expect(names()).toEqual(['.signing_key', 'CACHEDIR.TAG', 'VERSION', 'hashes', 'locks', 'tasks'])
    expect(text('CACHEDIR.TAG')).toBe(
      'Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by cuenv.\n# For information see https://bford.info/cachedir',
    )
    expect(text('VERSION')).toBe('1')
    expect(statSync(path.join(dir, '.signing_key'))).toMatchObject({ size: 32 })
    expect(statSync(path.join(dir, '.signing_key')).mode & 0o777).toBe(0o600)
    expect([names('hashes'), names('tasks'), names('locks')]).toEqual([[`${key}.json`], [`${key}.json`], []])
    expect(JSON.parse(text(`hashes/${key}.json`))).toMatchObject({ label: 'task:build' })
    expect(Object.keys(JSON.parse(text(`tasks/${key}.json`)))).toEqual(['data', 'signature', 'nonce', 'timestamp'])
  })

  test('of the generation before has no key, and entries without signatures', async () => {
    const key = await saved({ isSigned: false })
    expect(names()).toEqual(['CACHEDIR.TAG', 'VERSION', 'hashes', 'locks', 'tasks'])
    expect(Object.keys(JSON.parse(text(`tasks/${key}.json`)))).toEqual([
      'cache_key',
      'executed_at',
      'exit_code',
      'stdout',
      'stderr',
      'output_files',
    ])
    expect(await open({ isSigned: false }).get(key, task())).toMatchObject({ key })
  })

  test('of a newer version is refused, of none that is a number too, of an older one emptied', async () => {
    const key = await saved()
    const withVersion = (version: string) => {
      writeFileSync(path.join(dir, 'VERSION'), version)
      return open()
    }
    expect(() => withVersion('2')).toThrow(expect.objectContaining({ code: 'store.newer-format' }))
    expect(() => withVersion('one')).toThrow(expect.objectContaining({ code: 'store.corrupt' }))
    expect(await withVersion('1\n').get(key, task())).toMatchObject({ key })
    expect(withVersion('0').counters.hits).toBe(0)
    expect(names()).toEqual(['CACHEDIR.TAG', 'VERSION'])
    expect(text('VERSION')).toBe('1')
  })

  test('with a signing key of another length is refused', async () => {
    await saved()
    writeFileSync(path.join(dir, '.signing_key'), 'short')
    expect(() => open()).toThrow(expect.objectContaining({ code: 'store.corrupt' }))
  })
})

describe('a look-up', () => {
  test('finds what another process saved, and changes neither the entry nor the work tree', async () => {
    const key = await saved({ now: () => 1_753_600_000_500 })
    const before = text(`tasks/${key}.json`)
    const cache = open({ now: () => 1_753_600_000_500 })
    expect(await cache.get(key, task())).toEqual({
      key,
      executedMs: 1_753_600_000_500,
      exitCode: 0,
      outputFiles: { 'out/r.txt': 'f6a214f7a5fcda0c2cee9660b7fc29f5649e3c68aad48e20e950137c98913a68' },
    })
    expect(text(`tasks/${key}.json`)).toBe(before)
    expect(cache.counters).toEqual({ hits: 1, misses: 0, writes: 0 })
    expect(names('locks')).toEqual([])
  })

  test('misses when an output that is listed changed or is gone; others beside it do not matter', async () => {
    const key = await saved()
    const cache = open()
    put('out/other', 'more')
    expect(await cache.get(key, task())).toBeDefined()
    put('out/r.txt', 'changed')
    expect(await cache.get(key, task())).toBeUndefined()
    rmSync(path.join(workingDir, 'out/r.txt'))
    expect(await cache.get(key, task())).toBeUndefined()
    rmSync(path.join(workingDir, 'out'), { recursive: true })
    expect(await cache.get(key, task())).toBeUndefined()
    expect(cache.counters).toEqual({ hits: 1, misses: 3, writes: 0 })
  })

  test('misses when one of several outputs is gone', async () => {
    put('out/second', '2')
    const key = await saved()
    rmSync(path.join(workingDir, 'out/r.txt'))
    expect(await open().get(key, task())).toBeUndefined()
    put('out/r.txt', 'result')
    expect(await open().get(key, task())).toBeDefined()
  })

  test('misses when nothing matches the outputs any more, though the listed ones are there', async () => {
    const key = await saved()
    expect(await open().get(key, task({ outputs: ['elsewhere/**'] }))).toBeUndefined()
    put('elsewhere/x', '')
    expect(await open().get(key, task({ outputs: ['elsewhere/**'] }))).toBeDefined()
  })

  test('of a task that declares no outputs looks at none', async () => {
    const { outputs: _, ...config } = task().config
    const bare = { ...task(), config }
    const cache = open()
    await cache.save('k', bare, 0)
    rmSync(path.join(workingDir, 'out'), { recursive: true })
    expect(await cache.get('k', bare)).toMatchObject({ outputFiles: {} })
  })

  test('misses what is not there, stands under another key, or is of another generation', async () => {
    const key = await saved()
    const cache = open()
    expect(await cache.get('0'.repeat(64), task())).toBeUndefined()
    writeFileSync(path.join(dir, 'tasks/other.json'), text(`tasks/${key}.json`))
    expect(await cache.get('other', task())).toBeUndefined()
    expect(await open({ isSigned: false }).get(key, task())).toBeUndefined()
    await saved({ isSigned: false })
    expect(await cache.get(key, task())).toBeUndefined()
  })

  test('misses an entry that another key signed, or that is older than seven days', async () => {
    const key = await saved({ now: () => 10 * DAY_MS })
    expect(await open({ now: () => 17 * DAY_MS }).get(key, task())).toBeDefined()
    expect(await open({ now: () => 17 * DAY_MS + 1000 }).get(key, task())).toBeUndefined()
    writeFileSync(path.join(dir, '.signing_key'), Buffer.alloc(32))
    expect(await open({ now: () => 10 * DAY_MS }).get(key, task())).toBeUndefined()
  })

  test('fails for an entry that is none, as it failed the task, and lets its lock go', async () => {
    const key = await saved()
    writeFileSync(path.join(dir, `tasks/${key}.json`), '{"data":')
    await expect(open().get(key, task())).rejects.toMatchObject({ code: 'store.corrupt' })
    expect(names('locks')).toEqual([])
  })

  test('waits for whoever holds the key, reader or writer', async () => {
    const key = await saved()
    writeFileSync(path.join(dir, `locks/${key}.lock`), '')
    const lock = { onWait: () => rmSync(path.join(dir, `locks/${key}.lock`), { force: true }) }
    expect(await open({ lock }).get(key, task())).toBeDefined()
    writeFileSync(path.join(dir, `locks/${key}.lock`), '')
    const busy = open({ lock: { timeoutMs: 0 } })
    await expect(busy.get(key, task())).rejects.toMatchObject({ code: 'store.busy' })
    await expect(busy.save(key, task(), 0)).rejects.toMatchObject({ code: 'store.busy' })
  })
})

describe('what is kept', () => {
  test('is not there in part when it cannot be put in its place', async () => {
    const cache = open()
    mkdirSync(path.join(dir, 'tasks/k.json'), { recursive: true })
    await expect(cache.save('k', task(), 0)).rejects.toMatchObject({ code: 'EISDIR' })
    expect([names('tasks'), names('locks')]).toEqual([['k.json'], []])
    expect(cache.counters.writes).toBe(0)
  })

  test('are successes of tasks that want it, as far as the mode allows', async () => {
    const cache = open()
    await cache.save('failed', task(), 1)
    await cache.save('unwanted', task({ cache: false }), 0)
    await open({ mode: 'off' }).save('off', task(), 0)
    await open({ mode: 'read' }).save('read', task(), 0)
    expect(names()).not.toContain('tasks')
    await open({ mode: 'write' }).save('write', task(), 0)
    await open({ mode: 'read-write' }).save('read-write', task(), 0)
    expect(names('tasks')).toEqual(['read-write.json', 'write.json'])
  })

  test('is looked up as far as the mode allows, uncounted otherwise', async () => {
    const key = await saved()
    for (const mode of ['off', 'write'] as const) {
      const cache = open({ mode })
      expect(await cache.get(key, task())).toBeUndefined()
      expect(cache.counters).toEqual({ hits: 0, misses: 0, writes: 0 })
    }
    expect(await open({ mode: 'read' }).get(key, task())).toBeDefined()
    expect(await open().get(key, task({ cache: false }))).toBeUndefined()
  })

  test('is known by a manifest whatever the mode', () => {
    const key = open({ mode: 'off' }).key(task({ cache: false }))
    expect(names('hashes')).toEqual([`${key}.json`])
  })

  test('goes when it is older than asked, locks and unfinished writes too, and is counted without the locks', async () => {
    const key = await saved()
    for (const name of ['tasks/.left.tmp', 'locks/old.lock', 'locks/young.lock', 'tasks/young.json'])
      writeFileSync(path.join(dir, name), '12345')
    const now = Date.now()
    const old = new Date(now - 2 * 3_600_000)
    for (const name of [`tasks/${key}.json`, `hashes/${key}.json`, 'tasks/.left.tmp', 'locks/old.lock'])
      utimesSync(path.join(dir, name), old, old)
    const bytes = text(`tasks/${key}.json`).length + text(`hashes/${key}.json`).length + 5
    expect(open().clean()).toEqual({ removed: 0, bytes: 0 })
    // As old as asked is not older.
    expect(open({ now: () => old.getTime() + 3_600_000 }).clean(1)).toEqual({ removed: 0, bytes: 0 })
    expect(open().clean(1)).toEqual({ removed: 3, bytes })
    expect([names('hashes'), names('tasks'), names('locks')]).toEqual([[], ['young.json'], ['young.lock']])
  })

  test('goes all at once, but for the tag', async () => {
    await saved()
    open().clear()
    expect(names()).toEqual(['CACHEDIR.TAG'])
  })
})
