import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'

const FIXTURES = join(import.meta.dirname, '../fixtures/library')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-flight-'))
  mkdirSync(join(folder, 'project'))
  writeFileSync(join(folder, 'project/in.txt'), 'input')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function start(script?: string): ChildProcess {
  const words = [join(FIXTURES, 'run-counted.ts'), join(folder, 'cache'), join(folder, 'project')]
  const child = spawn(process.execPath, script === undefined ? words : [...words, script], { stdio: 'pipe' })
  child.stderr.resume()
  return child
}

interface Said {
  readonly status: string
  readonly exitCode: number
  readonly stdout: string
  readonly notices: readonly string[]
}

async function end(child: ChildProcess): Promise<Said> {
  if (child.stdout === null) throw new Error('no stdout')
  const said = await text(child.stdout)
  return JSON.parse(said) as Said
}

async function hasStarted(child: ChildProcess): Promise<void> {
  const { stderr } = child
  if (stderr === null) throw new Error('no stderr')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    stderr.on('data', (chunk) => {
      said += chunk
      if (said.includes('started')) resolve()
    })
    child.once('exit', () => reject(new Error(said)))
  })
}

function runs(): number {
  return readFileSync(join(folder, 'count'), 'utf8').trim().split('\n').length
}

test('eight processes that ask for the same at once run it once, and all have its output', async () => {
  const ends = await Promise.all(Array.from({ length: 8 }, () => end(start())))
  expect(runs()).toBe(1)
  expect(ends.map(({ status }) => status).sort()).toEqual([...Array(7).fill('hit'), 'miss'])
  for (const { stdout, exitCode } of ends) expect([stdout, exitCode]).toEqual(['hello\n', 0])
  const waited = ends.filter(({ notices }) => notices.includes('waiting'))
  expect(waited.length).toBeGreaterThan(0)
  expect(waited[0]?.notices.join()).toMatch(/\(process \d+\)/)
})

test('when the leader is killed, one of those who wait takes over, and the others have its result', async () => {
  const script = 'echo run >> ../count; if [ -e ../second ]; then echo hello; else touch ../second; exec sleep 30; fi'
  const leader = start(script)
  await hasStarted(leader)
  const others = Array.from({ length: 3 }, () => start(script))
  const ends = Promise.all(others.map(end))
  await until(() => readCount() === 1)
  leader.kill('SIGKILL')
  expect((await ends).map(({ status }) => status).sort()).toEqual(['hit', 'hit', 'miss'])
  expect(runs()).toBe(2)
})

test('when the leader keeps nothing, those who wait run at once instead of one after the other', async () => {
  const script = 'echo run >> ../count; sleep 1; exit 1'
  const leader = start(script)
  await hasStarted(leader)
  const others = Array.from({ length: 4 }, () => start(script))
  const before = performance.now()
  const ends = await Promise.all([leader, ...others].map(end))
  expect(ends.map(({ exitCode }) => exitCode)).toEqual([1, 1, 1, 1, 1])
  expect(runs()).toBe(5)
  // One after the other they would take five seconds.
  expect(performance.now() - before).toBeLessThan(4_500)
})

test('a memoised function runs once for all processes', async () => {
  const count = join(folder, 'count')
  const calls = Array.from({ length: 4 }, () =>
    spawn(process.execPath, [join(FIXTURES, 'memoized.ts'), join(folder, 'cache'), count], { stdio: 'pipe' }),
  )
  const said = await Promise.all(calls.map((child) => text(child.stdout)))
  expect(said).toEqual(Array(4).fill('{"twice":42}\n'))
  expect(runs()).toBe(1)
})

function readCount(): number {
  try {
    return runs()
  } catch {
    return 0
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !isTrue(); i++) await new Promise((wake) => setTimeout(wake, 25))
  expect(isTrue()).toBe(true)
}
