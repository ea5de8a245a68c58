import { chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { content } from '../content.fixture.ts'
import { adopt } from './adopt.ts'
import { defaultCacheDir } from './cache-dir.ts'
import { openLocalStore } from './local-store.ts'
import { gives, keep, temporaryFolder } from './temporary-store.fixture.ts'

const unusable = { code: 'store.unusable' }

describe('a cache folder', () => {
  it('is made where there is none, for its owner alone, marked as a cache', () => {
    const dir = join(temporaryFolder(onTestFinished), 'deep', 'cache')
    adopt(dir, false)
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    expect(readdirSync(dir)).toEqual(expect.arrayContaining(['CACHEDIR.TAG', 'FORMAT']))
    adopt(dir, false)
  })

  it('may be an empty folder, and one half-made by a process that died', () => {
    const dir = temporaryFolder(onTestFinished)
    adopt(dir, false)
    rmSync(join(dir, 'FORMAT'))
    for (const name of ['journal', 'blobs', 'tmp', 'locks']) rmSync(join(dir, name), { recursive: true })
    adopt(dir, false)
  })

  it.each(['journal', 'blobs', 'tmp', 'locks'])('that lost %s gets it again, and works', async (name) => {
    const dir = temporaryFolder(onTestFinished)
    await (await openLocalStore({ dir }))[Symbol.asyncDispose]()
    rmSync(join(dir, name), { recursive: true })
    await using store = await openLocalStore({ dir })
    expect(statSync(join(dir, name)).mode & 0o777).toBe(0o700)
    for (const bytes of [content(5000, 1), content(3_000_000, 2)]) {
      await keep(store, bytes)
      expect(await gives(store, bytes)).toBe(true)
    }
    await using lease = await store.leases.hold('x')
    expect(lease).toBeDefined()
  })

  it('is never somebody else’s folder of things', () => {
    const dir = temporaryFolder(onTestFinished)
    writeFileSync(join(dir, 'thesis.txt'), 'mine')
    expect(() => adopt(dir, false)).toThrow(expect.objectContaining(unusable))
    expect(readdirSync(dir)).toEqual(['thesis.txt'])
  })

  it('is not a file, nor in one', () => {
    const file = join(temporaryFolder(onTestFinished), 'file')
    writeFileSync(file, '')
    for (const dir of [file, join(file, 'cache')])
      expect(() => adopt(dir, false)).toThrow(expect.objectContaining(unusable))
  })

  it('is not one with a FORMAT of something else, or of a newer version', () => {
    const dir = temporaryFolder(onTestFinished)
    writeFileSync(join(dir, 'FORMAT'), 'PDF')
    expect(() => adopt(dir, false)).toThrow(expect.objectContaining(unusable))
    writeFileSync(join(dir, 'FORMAT'), 'recue cache, format 2\n')
    expect(() => adopt(dir, false)).toThrow(expect.objectContaining({ code: 'store.newer-format' }))
  })

  it.runIf(process.getuid?.() === 0)('is not one that belongs to another user', () => {
    const dir = temporaryFolder(onTestFinished)
    adopt(dir, false)
    chownSync(dir, 12345, 12345)
    expect(() => adopt(dir, false)).toThrow(expect.objectContaining(unusable))
  })

  it('is not made when opened for reading', () => {
    const dir = join(temporaryFolder(onTestFinished), 'cache')
    expect(() => adopt(dir, true)).toThrow(expect.objectContaining(unusable))
    expect(existsSync(dir)).toBe(false)
  })

  it('may be reached by a link', () => {
    const parent = temporaryFolder(onTestFinished)
    mkdirSync(join(parent, 'real'))
    symlinkSync('real', join(parent, 'link'))
    adopt(join(parent, 'link'), false)
    expect(existsSync(join(parent, 'real', 'FORMAT'))).toBe(true)
  })
})

describe('the usual place of the cache', () => {
  it.each([
    [{ RECUE_CACHE_DIR: '/c', XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux', '/c'],
    [{ XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux', '/x/recue'],
    [{ XDG_CACHE_HOME: 'relative', HOME: '/h' }, 'linux', '/h/.cache/recue'],
    [{ RECUE_CACHE_DIR: '', HOME: '/h' }, 'linux', '/h/.cache/recue'],
    [{ HOME: '/h' }, 'darwin', '/h/Library/Caches/recue'],
    [{ LOCALAPPDATA: 'C:\\L' }, 'win32', 'C:\\L\\recue\\cache'],
  ])('of %o on %s is %s', (env, platform, dir) => {
    expect(defaultCacheDir(env, platform)).toBe(dir)
  })
})
