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
  let complaint = ''
  child.stderr?.on('data', (chunk) => {
    complaint += chunk
  })
  const said = await text(child.stdout)
  if (said === '') throw new Error(`nothing came of it: ${complaint}`)
  return JSON.parse(said) as Said
}

/** Done once the process has told of `notice`. */
async function hasSaid(child: ChildProcess, notice: 'started' | 'waiting'): Promise<void> {
  const { stderr } = child
  if (stderr === null) throw new Error('no stderr')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    stderr.on('data', (chunk) => {
      said += chunk
      if (said.includes(notice)) resolve()
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
  await hasSaid(leader, 'started')
  const others = Array.from({ length: 3 }, () => start(script))
  const ends = Promise.all(others.map(end))
  await Promise.all(others.map((child) => hasSaid(child, 'waiting')))
  leader.kill('SIGKILL')
  expect((await ends).map(({ status }) => status).sort()).toEqual(['hit', 'hit', 'miss'])
  expect(runs()).toBe(2)
})

test('when the leader keeps nothing, those who wait run at once instead of one after the other', async () => {
  // The leader fails when it is told to; each of the others fails with 1 once it sees all four of them running.
  const script = `
    if [ ! -e ../led ]; then touch ../led; while [ ! -e ../go ]; do sleep 0.05; done; exit 1; fi
    touch ../beside.$$
    for i in $(seq 200); do set -- ../beside.*; [ $# -eq 4 ] && exit 1; sleep 0.05; done; exit 2`
  const leader = start(script)
  await hasSaid(leader, 'started')
  const others = Array.from({ length: 4 }, () => start(script))
  await Promise.all(others.map((child) => hasSaid(child, 'waiting')))
  writeFileSync(join(folder, 'go'), '')
  const ends = await Promise.all([leader, ...others].map(end))
  expect(ends.map(({ exitCode }) => exitCode)).toEqual([1, 1, 1, 1, 1])
})

test('a run inside a run of the same does not wait for it', async () => {
  const fixture = `${process.execPath} ${join(FIXTURES, 'run-counted.ts')} ${join(folder, 'cache')} ${join(folder, 'project')}`
  const script = `if [ -e ../inside ]; then echo inner; else touch ../inside; ${fixture} 'sh in.txt'; echo outer; fi`
  writeFileSync(join(folder, 'project/in.txt'), script)
  const { stdout, exitCode } = await end(start('sh in.txt'))
  expect(exitCode).toBe(0)
  expect(stdout).toMatch(/inner.*\nouter\n$/s)
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
