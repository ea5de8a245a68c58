import { expect, test } from 'vitest'
import { sweptCache } from './tool-caches.ts'

const file = (path: string, sizeBytes: number) => ({ path, sizeBytes })

test('finds the largest cache of a tool among outputs', () => {
  const files = [
    file('web/.next/cache/a/b.pack', 5),
    file('web/.next/cache/c.pack', 6),
    file('node_modules/.cache/x', 7),
  ]
  expect(sweptCache(files)).toEqual({ path: 'web/.next/cache', contentBytes: 11 })
})

test('takes no other folder for one', () => {
  expect(
    sweptCache([file('my.turbo/x', 1), file('.next/cached/x', 1), file('.next/cache', 1), file('dist/a', 1)]),
  ).toBeUndefined()
})
