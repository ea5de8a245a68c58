import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

const EXAMPLES = join(import.meta.dirname, '../../examples')
const execute = promisify(execFile)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recue-examples-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function run(name: string) {
  const env = { ...process.env, RECUE_CACHE_DIR: join(folder, 'cache') }
  return execute(process.execPath, [join(EXAMPLES, name)], { env })
}

test('a command runs once', async () => {
  const { stdout } = await run('run-command.ts')
  expect(stdout).toBe('first: miss, sorted.txt\nsecond: hit, sorted.txt\nAda\nEdsger\nGrace\n\n')
})

test('a function runs once', async () => {
  expect((await run('run-function.ts')).stdout).toBe('first: miss, 15 bytes\nsecond: hit, 15 bytes\n')
})

test('a memoised function is remembered from process to process', async () => {
  const first = await run('memoize.ts')
  const second = await run('memoize.ts')
  expect(first.stderr).toContain('counting primes')
  expect(second.stderr).toBe('')
  expect(second.stdout).toBe(first.stdout)
})

test('every example is run here', () => {
  const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts'))
  expect(names.sort()).toEqual(['memoize.ts', 'run-command.ts', 'run-function.ts'])
})
