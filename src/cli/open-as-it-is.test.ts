import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCache } from '../cache.ts'
import { openAsItIs } from './open-as-it-is.ts'

let folder: string
let cacheDir: string
beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'recue-as-it-is-'))
  cacheDir = join(folder, 'cache')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a cache that can be written is opened for that', async () => {
  await using cache = await openAsItIs({ cacheDir })
  expect(cache.readOnly).toBe(false)
})

test('a mistake of the user is no reason to do with reading', async () => {
  await (await openCache({ cacheDir })).close()
  await expect(openAsItIs({ cacheDir, maxCasSize: '8000TB' })).rejects.toThrow(/maxCasSize/)
})

test('what a newer recue made is refused, and so is a folder that is no cache', async () => {
  await (await openCache({ cacheDir })).close()
  writeFileSync(join(cacheDir, 'FORMAT'), 'recue cache, format 999\n')
  await expect(openAsItIs({ cacheDir })).rejects.toMatchObject({ code: expect.stringMatching(/^store\./) })
  writeFileSync(join(folder, 'thesis.txt'), 'mine')
  await expect(openAsItIs({ cacheDir: folder })).rejects.toMatchObject({ code: expect.stringMatching(/^store\./) })
  expect(readdirSync(folder).sort()).toEqual(['cache', 'thesis.txt'])
})
