import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { holdLegacyLock } from './legacy-lock.ts'

let folder: string
beforeEach(() => {
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'recue-legacy-')), 'locks')
  onTestFinished(() => rmSync(path.dirname(folder), { recursive: true }))
})

test('is an empty file of its owner alone, as long as it is held', async () => {
  const file = path.join(folder, 'k.lock')
  {
    using _ = await holdLegacyLock(folder, 'k')
    expect(statSync(file)).toMatchObject({ size: 0 })
    expect(statSync(file).mode & 0o777).toBe(0o600)
  }
  expect(existsSync(file)).toBe(false)
})

test('lets one in at a time, and waits 10, 20, 40 ms and up to a quarter more in between', async () => {
  const first = await holdLegacyLock(folder, 'k')
  const waits: number[] = []
  const second = holdLegacyLock(folder, 'k', {
    onWait: (ms) => {
      waits.push(ms)
      if (waits.length === 3) first[Symbol.dispose]()
    },
  })
  using _ = await second
  expect(waits).toHaveLength(3)
  for (const [i, least] of [10, 20, 40].entries()) {
    expect(waits[i]).toBeGreaterThanOrEqual(least)
    expect(waits[i]).toBeLessThanOrEqual(least * 1.25)
  }
  expect(readdirSync(folder)).toEqual(['k.lock'])
})

test('keeps other keys free', async () => {
  using _ = await holdLegacyLock(folder, 'k')
  using __ = await holdLegacyLock(folder, 'l', { onWait: () => expect.unreachable() })
  expect(readdirSync(folder).sort()).toEqual(['k.lock', 'l.lock'])
})

test('gives up with store.busy when its time is over, and leaves the lock to its holder', async () => {
  using _ = await holdLegacyLock(folder, 'k')
  await expect(holdLegacyLock(folder, 'k', { timeoutMs: 0 })).rejects.toMatchObject({ code: 'store.busy' })
  expect(readdirSync(folder)).toEqual(['k.lock'])
})

test('ends its wait when told to', async () => {
  using _ = await holdLegacyLock(folder, 'k')
  const stop = new AbortController()
  const wait = holdLegacyLock(folder, 'k', { signal: stop.signal, onWait: () => stop.abort() })
  await expect(wait).rejects.toMatchObject({ name: 'AbortError' })
})

test('tells of a folder that is none', async () => {
  writeFileSync(folder, '')
  await expect(holdLegacyLock(folder, 'k')).rejects.toMatchObject({ code: 'EEXIST' })
})
