import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { crc32cOfFew } from '../../digest/crc32c.ts'
import type { BreakerState } from './breaker.ts'
import { breakerFile } from './breaker-file.ts'

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'recue-breaker-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const newDir = () => join(mkdtempSync(join(root, 'of-')), 'remotes')
const state: BreakerState = {
  version: 1,
  trips: 2,
  untilMs: 1_700_000_000_000,
  savedMs: 1_600_000_000_000,
  firstAnswerMs: 9,
}
const fileIn = (dir: string) => join(dir, readdirSync(dir)[0] ?? '')

test('what is saved is there for other processes, by place', () => {
  const dir = newDir()
  const one = breakerFile(dir, 'grpc://one')
  expect(one.load()).toBeUndefined()
  expect(one.save(state)).toBe('saved')
  expect(breakerFile(dir, 'grpc://one').load()).toEqual(state)
  expect(breakerFile(dir, 'grpc://two').load()).toBeUndefined()
  expect(one.save({ ...state, version: 2, trips: 0 })).toBe('saved')
  expect(one.load()).toEqual({ ...state, version: 2, trips: 0 })
  expect(readdirSync(dir)).toHaveLength(1)
})

test('who is late with a version is told, and changes nothing', () => {
  const dir = newDir()
  const memory = breakerFile(dir, 'there')
  memory.save({ ...state, version: 3 })
  for (const version of [1, 2, 3]) expect(memory.save({ ...state, version, trips: 99 })).toBe('overtaken')
  expect(memory.load()).toEqual({ ...state, version: 3 })
  expect(readdirSync(dir)).toHaveLength(1)
})

test('what a process left that was killed while it saved stands in the way for a moment only', () => {
  const dir = newDir()
  const memory = breakerFile(dir, 'there')
  memory.save(state)
  const left = `${fileIn(dir)}.2`
  writeFileSync(left, '')
  expect(memory.save({ ...state, version: 2 })).toBe('overtaken')
  utimesSync(left, 1, 1)
  expect(memory.save({ ...state, version: 2 })).toBe('saved')
  expect(memory.load()?.version).toBe(2)
})

test('what does not check out is as nothing known, whatever it is', () => {
  const dir = newDir()
  const memory = breakerFile(dir, 'there')
  memory.save(state)
  const file = fileIn(dir)
  const whole = readFileSync(file)
  for (let at = 0; at < whole.length; at++) {
    const flipped = Buffer.from(whole)
    flipped[at] = (flipped[at] as number) ^ 1
    writeFileSync(file, flipped)
    expect(memory.load(), `byte ${at}`).toBeUndefined()
    writeFileSync(file, whole.subarray(0, at))
    expect(memory.load(), `cut at ${at}`).toBeUndefined()
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
      writeFileSync(file, garbage)
      expect(memory.load()).toBeUndefined()
    }),
    { numRuns: 50 },
  )
  expect(memory.save(state)).toBe('saved')
  expect(memory.load()).toEqual(state)
})

test('what has more or fewer numbers is of another version, and as nothing known', () => {
  const dir = newDir()
  const memory = breakerFile(dir, 'there')
  memory.save(state)
  for (const [line, isKnown] of [
    ['1 2 3 4', false],
    ['1 2 3 4 5', true],
    ['1 2 3 4 5 6', false],
  ] as const) {
    writeFileSync(fileIn(dir), `${line} ${crc32cOfFew(Buffer.from(line))}\n`)
    expect(memory.load() !== undefined, line).toBe(isKnown)
  }
})

test('where no file can be, nothing is known and nothing is thrown', () => {
  const file = join(root, 'a file')
  writeFileSync(file, '')
  const memory = breakerFile(join(file, 'remotes'), 'there')
  expect(memory.load()).toBeUndefined()
  expect(memory.save(state)).toBe('unable')
})

test('of processes that save at the same time each version is saved by one', async () => {
  const dir = newDir()
  const program = `
    import { breakerFile } from ${JSON.stringify(fileURLToPath(new URL('./breaker-file.ts', import.meta.url)))}
    const memory = breakerFile(process.argv[1], 'there')
    const saved = []
    for (let round = 0; round < 300; round++) {
      const version = (memory.load()?.version ?? 0) + 1
      const done = memory.save({ version, trips: process.pid, untilMs: 0, savedMs: 0, firstAnswerMs: 0 })
      if (done === 'saved') saved.push(version)
      else if (done === 'unable') throw new Error('unable')
    }
    console.log(JSON.stringify(saved))`
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', program, dir])
  const all = (await Promise.all([run(), run(), run()])).flatMap(({ stdout }) => JSON.parse(stdout) as number[])
  const versions = all.sort((a, b) => a - b)
  expect(versions).toEqual(Array.from({ length: versions.length }, (_, i) => i + 1))
  expect(breakerFile(dir, 'there').load()?.version).toBe(versions.length)
})
