import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { checkEntry, type EntryShape, SMALL, saveEntry } from './entries.ts'
import { wholeEntries } from './store-checks.ts'

const SHAPE: EntryShape = { ...SMALL, fileBytes: 100_000 }
const WITH_LARGE: EntryShape = { ...SHAPE, largeBytes: 3_000_000 }
let dir: string
let isMounted = false

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-full-'))
  isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', dir]).status === 0
})
afterEach(() => {
  if (isMounted) spawnSync('umount', ['-l', dir])
  rmSync(dir, { recursive: true, force: true })
})

describe('a disk that is full', () => {
  test.for([
    ['small blobs', SHAPE],
    ['large blobs', WITH_LARGE],
  ] as const)(
    '%s: the put fails with store.full, what is left is whole, and room can be made',
    async ([_name, shape], { skip }) => {
      // Mounting takes rights that not everybody has; where it cannot be had, this is another machine's to test.
      if (!isMounted) console.log('skipped: a tmpfs cannot be mounted here (a disk that is full)')
      skip(!isMounted, 'a tmpfs cannot be mounted here')
      const cache = join(dir, 'cache')
      mkdirSync(cache)
      writeFileSync(join(dir, 'ballast'), Buffer.alloc(3_000_000))
      const saved: string[] = []
      {
        await using store = await openLocalStore({ dir: cache, maxCacheBytes: 16 << 20 })
        let code: string | undefined
        for (let i = 0; code === undefined && i < 100; i++)
          await saveEntry(store, `e${i}`, shape).then(
            () => saved.push(`e${i}`),
            (error: { code?: string }) => {
              code = error.code ?? String(error)
            },
          )
        expect(code).toBe('store.full')
        expect(saved.length).toBeGreaterThan(2)
        expect((await wholeEntries(store, [...saved, `e${saved.length}`], shape)).length).toBeGreaterThan(0)
      }
      // A disk found full is a reason to give up a part of what is there, a second later or at the end of the process.
      await using store = await openLocalStore({ dir: cache, maxCacheBytes: 16 << 20 })
      const left = await wholeEntries(store, saved, shape)
      expect(left.length).toBeGreaterThan(saved.length / 2)
      const more = await saveEntry(store, 'more', WITH_LARGE).catch((error: { code?: string }) => error.code)
      expect([undefined, 'store.full']).toContain(more)
      expect(await wholeEntries(store, ['more'], WITH_LARGE)).toEqual(more === undefined ? ['more'] : [])
      // A collection needs a little room itself, to write down what it does.
      rmSync(join(dir, 'ballast'))
      await store.catalog.collect({ targetBytes: 0 })
      await saveEntry(store, 'after', shape)
      expect(await checkEntry(store, 'after', shape)).toBe('whole')
    },
  )
})
