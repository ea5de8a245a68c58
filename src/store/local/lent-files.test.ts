import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { sweepLent, sweepLentSometimes } from './collector/lent-sweep.ts'
import { type LentFiles, lentFiles, sealOf } from './lent-files.ts'
import { temporaryFolder } from './temporary-store.fixture.ts'

let folder: string
let lent: LentFiles
beforeEach(() => {
  folder = join(temporaryFolder(onTestFinished), 'lent')
  lent = lentFiles(folder)
})

function lend(bytes: Uint8Array): { path: string; digest: Digest } {
  const file = lent.begin()
  file.write(bytes.subarray(0, 10))
  file.write(bytes.subarray(10))
  return { path: file.lend(digestOf(bytes)), digest: digestOf(bytes) }
}

/** As if it had been asked for last at that time. */
function usedAt({ path, digest }: { path: string; digest: Digest }, ms: number): void {
  utimesSync(path, ms / 1000, sealOf(digest.hash))
}

test.each([0, 5, 100_000])('%i bytes are lent in a file that only its owner may read, and nobody write', (size) => {
  const bytes = content(size, 1)
  const { path, digest } = lend(bytes)
  expect(readFileSync(path).equals(Buffer.from(bytes))).toBe(true)
  expect(statSync(path).mode & 0o777).toBe(0o444)
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  expect(lent.find(digest)).toBe(path)
  expect(lentFiles(folder).find(digest)).toBe(path)
  expect(readdirSync(folder)).toEqual([digest.hash])
})

test('what was not lent is not found, nor what is of another size', () => {
  const { digest } = lend(content(100, 1))
  expect(lent.find(digestOf(content(100, 2)))).toBeUndefined()
  expect(lent.find({ ...digest, sizeBytes: 99 })).toBeUndefined()
})

test('a file that somebody wrote to is not found, also where its size is the same, and is made anew', () => {
  const bytes = content(100, 1)
  const { path, digest } = lend(bytes)
  writeFileSync(path, content(100, 2), { flag: 'r+' })
  expect(lent.find(digest)).toBeUndefined()
  lend(bytes)
  expect(lent.find(digest)).toBe(path)
  appendFileSync(path, 'x')
  expect(lent.find(digest)).toBeUndefined()
})

test('other content than its name says is refused, and nothing of it stays', () => {
  const file = lent.begin()
  file.write(content(10, 1))
  expect(() => file.lend(digestOf(content(10, 2)))).toThrow(expect.objectContaining({ code: 'store.corrupt' }))
  const short = lent.begin()
  short.write(content(9, 1))
  expect(() => short.lend({ ...digestOf(content(9, 1)), sizeBytes: 10 })).toThrow(
    expect.objectContaining({ code: 'store.corrupt' }),
  )
  expect(readdirSync(folder)).toEqual([])
})

test('a file that is given up leaves nothing, and one that was lent stays', () => {
  const dropped = lent.begin()
  dropped.write(content(10, 1))
  dropped.drop()
  dropped.drop()
  expect(() => dropped.write(content(1, 1))).toThrow('closed')
  const file = lent.begin()
  const path = file.lend(digestOf(content(0, 1)))
  file.drop()
  expect(existsSync(path)).toBe(true)
})

test('two that are made at once do not meet', () => {
  const [one, other] = [lent.begin(), lent.begin()]
  one.write(content(10, 1))
  other.write(content(10, 1))
  expect(one.lend(digestOf(content(10, 1)))).toBe(other.lend(digestOf(content(10, 1))))
  expect(readdirSync(folder)).toHaveLength(1)
})

test('to be found is to be used, known to the hour', () => {
  const file = lend(content(10, 1))
  const longAgo = Date.now() - 10 * HOUR
  usedAt(file, longAgo)
  expect(lent.find(file.digest)).toBe(file.path)
  expect(statSync(file.path).atimeMs).toBeGreaterThan(longAgo + 9 * HOUR)
  const lately = Date.now() - HOUR / 2
  usedAt(file, lately)
  expect(lent.find(file.digest)).toBe(file.path)
  expect(Math.abs(statSync(file.path).atimeMs - lately)).toBeLessThan(1000)
})

const HOUR = 3_600_000
const DAY = 24 * HOUR

test('swept: what nobody asked for in five days', () => {
  const now = Date.now()
  const files = [content(10, 1), content(10, 2)].map(lend)
  usedAt(files[0] as (typeof files)[0], now - 5 * DAY - 1000)
  usedAt(files[1] as (typeof files)[0], now - 5 * DAY + 60_000)
  expect(sweepLent(folder, 1000, now)).toBe(10)
  expect(readdirSync(folder)).toEqual([files[1]?.digest.hash])
})

test('swept: past the bound, those asked for longest ago, down to four fifths of it', () => {
  const now = Date.now()
  const files = Array.from({ length: 11 }, (_, i) => lend(content(100, i)))
  for (const [i, file] of files.entries()) usedAt(file, now - 3 * HOUR - i * 60_000)
  expect(sweepLent(folder, 1100, now)).toBe(0)
  expect(sweepLent(folder, 1000, now)).toBe(300)
  expect(files.map(({ path }) => existsSync(path))).toEqual([...Array(8).fill(true), false, false, false])
})

test('never swept: what was asked for just now, whatever the bound', () => {
  const now = Date.now()
  const [old, young] = [lend(content(100, 1)), lend(content(100, 2))]
  usedAt(old, now - 3 * HOUR)
  usedAt(young, now - HOUR)
  expect(sweepLent(folder, 10, now)).toBe(100)
  expect([existsSync(old.path), existsSync(young.path)]).toEqual([false, true])
})

test('swept: what was begun and never ended, after a day; not what is no file of ours', () => {
  const now = Date.now()
  lend(content(10, 1))
  const begun = lent.begin()
  begun.write(content(10, 1))
  writeFileSync(join(folder, 'notes'), 'mine')
  utimesSync(join(folder, 'notes'), 0, 0)
  sweepLent(folder, 1000, now)
  expect(readdirSync(folder)).toHaveLength(3)
  sweepLent(folder, 1000, now + DAY + 1000)
  expect(readdirSync(folder).sort()).toEqual([digestOf(content(10, 1)).hash, 'notes'].sort())
  expect(sweepLent(join(folder, 'no-such-folder'), 10, now)).toBe(0)
})

test('swept once an hour', () => {
  const now = Date.now()
  const sweepAfter = (ms: number) => {
    const file = lend(content(10, 1))
    usedAt(file, now - 6 * DAY)
    sweepLentSometimes(folder, 1000, now + ms)
    return existsSync(file.path)
  }
  expect(sweepAfter(0)).toBe(false)
  expect(sweepAfter(HOUR / 2)).toBe(true)
  expect(sweepAfter(HOUR + 60_000)).toBe(false)
})
