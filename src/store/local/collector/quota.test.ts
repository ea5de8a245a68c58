import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openCache } from '../../../cache.ts'
import { formatSize } from '../../../units/size.ts'
import { type LocalStoreOptions, openLocalStore } from '../local-store.ts'
import { enoughFreeBytes, highWater, highWaterCount, lowWater, lowWaterCount, quotaOf } from './quota.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

function temporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'recue-quota-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

test.each([
  [{ maxCacheBytes: -1 }, 'maxCacheSize is -1 bytes: it must be more than 0, and finite.'],
  [{ maxCacheBytes: 0 }, 'maxCacheSize is 0 bytes: it must be more than 0, and finite.'],
  [{ maxCasBytes: Number.NaN }, 'maxCasSize is NaN bytes: it must be more than 0, and finite.'],
  [{ minFreeBytes: Number.POSITIVE_INFINITY }, 'minFreeSpace is Infinity bytes: it must be more than 0, and finite.'],
  [{ maxEntries: 0 }, 'maxEntries is 0: it must be more than 0, and finite.'],
  [{ maxEntries: 1.5 }, 'maxEntries is 1.5: results are counted in whole numbers.'],
  [{ ttlMs: -5 }, 'ttl is -5 ms: it must be more than 0, and finite.'],
] as [Partial<LocalStoreOptions>, string][])('%o is refused by name', async (options, message) => {
  await expect(openLocalStore({ dir: temporary(), ...options })).rejects.toMatchObject({ code: 'usage', message })
})

test.each(['maxCacheBytes', 'maxCasBytes', 'minFreeBytes'])('%s of more than the disk has is refused', async (name) => {
  const dir = temporary()
  const { blocks, bsize } = statfsSync(dir)
  const options = { dir, [name]: blocks * bsize + 1 }
  await expect(openLocalStore(options)).rejects.toThrow(
    new RegExp(`^\\w+ is ${formatSize(blocks * bsize + 1)}, and the disk of`),
  )
  await using _fits = await openLocalStore({ dir, [name]: blocks * bsize })
})

test('the library refuses them by the same names', async () => {
  const dir = temporary()
  await expect(openCache({ cacheDir: dir, minFreeSpace: 0 })).rejects.toThrow('minFreeSpace is 0 bytes')
  await expect(openCache({ cacheDir: dir, maxEntries: -1 })).rejects.toThrow('maxEntries is -1')
  await expect(openCache({ cacheDir: dir, maxMemory: Number.NaN })).rejects.toThrow('maxMemory is NaN bytes')
  await expect(openCache({ cacheDir: dir, casInlineThreshold: -1 })).rejects.toThrow('casInlineThreshold is -1 bytes')
  await using _cache = await openCache({ cacheDir: dir, minFreeSpace: '1MB', maxEntries: 1, evictionPolicy: 'lru' })
})

test('unless said, a tenth of the file system or 20 GiB, and no other limit', () => {
  const { blocks, bsize } = statfsSync(tmpdir())
  expect(quotaOf(tmpdir())).toEqual({
    maxCacheBytes: Math.min(20 * GIB, blocks * bsize * 0.1),
    maxCasBytes: Number.POSITIVE_INFINITY,
    maxEntries: Number.POSITIVE_INFINITY,
    minFreeBytes: 0,
    ttlMs: Number.POSITIVE_INFINITY,
    maxTrashBytes: Math.min(20 * GIB, blocks * bsize * 0.1) * 0.1,
    maxLentBytes: Math.min(20 * GIB, blocks * bsize * 0.1) * 0.25,
  })
  expect(quotaOf('/there/is/no/such/folder').maxCacheBytes).toBe(20 * GIB)
})

test('marks lie below their limits, and a small count may be used up', () => {
  expect([highWater(100 * MIB), lowWater(100 * MIB)]).toEqual([95 * MIB, 80 * MIB])
  expect([1, 3, 20, 100].map((limit) => [highWaterCount(limit), lowWaterCount(limit)])).toEqual([
    [1, 1],
    [3, 3],
    [19, 16],
    [95, 80],
  ])
  expect(enoughFreeBytes(80)).toBe(100)
})
