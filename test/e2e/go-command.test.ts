import { spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { call, writeFiles } from './clients/calls.ts'
import { go } from './clients/go.ts'
import { type Runtime, runtimes } from './runtimes.ts'
import { type Served, serveStore, WRITE_TOKEN } from './served.ts'
import { skipIf } from './skip-if.ts'

/** What Go does with its cache beside compiling: linking, testing, vetting, and ending early. */
const [executable, node] = runtimes as [Runtime, Runtime]
let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'recue-e2e-go-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeEach((context) => skipIf(go.missing(), context))

interface Machine {
  readonly root: string
  readonly cacheDir: string
  run(...words: readonly string[]): Promise<{ readonly status: number | null; readonly said: string }>
  readonly environment: Readonly<Record<string, string>>
}

/** With nothing of Go's or recue's own. */
function machine(runtime: Runtime, server?: Served): Machine {
  const root = mkdtempSync(path.join(folder, 'machine-'))
  const cacheDir = path.join(root, '.recue')
  writeFiles(root, {
    'go.mod': 'module example.com/sum\n\ngo 1.24\n',
    'main.go': 'package main\n\nfunc Sum(a, b int) int { return a + b }\n\nfunc main() { println(Sum(1, 2)) }\n',
    'main_test.go':
      'package main\n\nimport (\n\t"os"\n\t"testing"\n\t"time"\n)\n\nfunc TestSum(t *testing.T) {\n\tif Sum(1, 2) != 3 {\n\t\tt.Fatal()\n\t}\n' +
      '\tif os.Getenv("SUM_WAITS") != "" {\n\t\tprintln("begun")\n\t\ttime.Sleep(time.Hour)\n\t}\n}\n',
  })
  const more = server === undefined ? [] : ['--server', server.url]
  const environment = {
    ...{ PATH: process.env.PATH ?? '', HOME: root, GOCACHE: path.join(root, '.go'), RECUE_CACHE_DIR: cacheDir },
    ...{ GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '-trimpath', CGO_ENABLED: '0', RECUE_TOKEN: WRITE_TOKEN },
    GOCACHEPROG: [...runtime.argv, 'gocacheprog', ...more].map((word) => `'${word}'`).join(' '),
  }
  return {
    root,
    cacheDir,
    environment,
    // Beside this process, which takes in what the server says.
    async run(...words) {
      const { status, stdout, stderr } = await call(root, 'go', words, environment)
      return { status, said: stdout + stderr }
    },
  }
}

const binaryOf = ({ root }: Machine) => readFileSync(path.join(root, 'sum'))

test('what one machine built and tested, another has: the same program, and tests that are (cached)', async () => {
  const store = mkdtempSync(path.join(folder, 'server-'))
  await using server = await serveStore(executable, store)
  const first = machine(executable, server)
  expect(await first.run('build', '-o', 'sum', '.')).toEqual({ status: 0, said: '' })
  expect((await first.run('test', '.')).said).toMatch(/^ok .*\ds\n$/)
  expect(await first.run('vet', '.')).toEqual({ status: 0, said: '' })

  const second = machine(node, server)
  const before = server.log.length
  expect(await second.run('build', '-o', 'sum', '.')).toEqual({ status: 0, said: '' })
  expect(binaryOf(second).equals(binaryOf(first))).toBe(true)
  expect((await second.run('test', '.')).said).toMatch(/^ok .*\(cached\)\n$/)
  expect(await second.run('vet', '.')).toEqual({ status: 0, said: '' })
  const asked = server.log.slice(before).filter(({ protocol, method }) => protocol === 'go' && method === 'GET')
  const missed = asked.filter(({ status }) => status !== 200)
  // Go asks for some things that it never puts there, such as the output of a link that said nothing.
  expect(missed.length).toBeLessThan(asked.length / 20)

  // A program that was linked elsewhere is what the built-in cache gives, too.
  const plain = { ...first.environment, GOCACHEPROG: '', GOCACHE: path.join(first.root, '.own') }
  expect((await call(first.root, 'go', ['build', '-o', 'own', '.'], plain)).status).toBe(0)
  expect(readFileSync(path.join(first.root, 'own')).equals(binaryOf(first))).toBe(true)

  await damagedFilesAreMadeAnew(second, binaryOf(first))
  await testsGrowTooOld(second)
  await interrupted(second)
})

async function damagedFilesAreMadeAnew(own: Machine, expected: Buffer): Promise<void> {
  const lent = path.join(own.cacheDir, 'lent')
  const files = readdirSync(lent).filter((name) => name.length === 64)
  expect(files.length).toBeGreaterThan(20)
  for (const [i, name] of files.entries())
    if (i % 2 === 0) rmSync(path.join(lent, name))
    else appendFileSync(path.join(lent, name), 'x', { mode: 0o644 })
  rmSync(path.join(own.root, 'sum'))
  expect(await own.run('build', '-o', 'sum', '.')).toEqual({ status: 0, said: '' })
  expect(binaryOf(own).equals(expected)).toBe(true)
}

async function testsGrowTooOld(own: Machine): Promise<void> {
  expect((await own.run('clean', '-testcache')).status).toBe(0)
  expect((await own.run('test', '.')).said).not.toContain('(cached)')
  expect((await own.run('test', '.')).said).toContain('(cached)')
}

/** Ctrl-C reaches all that the terminal started. */
async function interrupted(own: Machine): Promise<void> {
  const child = spawn('go', ['test', '-v', '.'], {
    cwd: own.root,
    env: { ...own.environment, SUM_WAITS: '1' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const begun = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk
      if (said.includes('begun')) begun.resolve()
    })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  await begun.promise
  process.kill(-(child.pid ?? 0), 'SIGINT')
  expect(await ended).not.toBe(0)
  expect(said).not.toMatch(/GOCACHEPROG|recue/)
  expect(await own.run('build', '-o', 'sum', '.')).toEqual({ status: 0, said: '' })
}

test.each(runtimes)('with a cache folder that cannot be had, Go builds all the same: $name', async (runtime) => {
  const own = machine(runtime)
  writeFiles(own.root, { 'lib/lib.go': 'package lib\n\nfunc One() int { return 1 }\n', '.recue': 'a file' })
  const { status, said } = await own.run('build', './lib')
  expect(status, said).toBe(0)
  expect(said).toMatch(/^recue: .*\.recue.*\n$/)
})
