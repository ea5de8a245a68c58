import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench } from '../fixtures/commands.ts'

interface Report {
  readonly status: string
  readonly checks: readonly {
    readonly name: string
    readonly status: string
    readonly what: string
    readonly hint?: string
  }[]
}

async function doctor(
  bench: Bench,
  words: readonly string[] = [],
  environment = {},
): Promise<Report & { code: number | null }> {
  const { code, stdout } = await bench.recue(['doctor', '--json', ...words], environment)
  return { code, ...(JSON.parse(stdout) as Report) }
}

const check = ({ checks }: Report, name: string) => checks.find((one) => one.name === name)

test('a cache in use is well, and every line says so', async () => {
  using bench = new Bench()
  await bench.build()
  const { code, stdout, stderr } = await bench.recue(['doctor', '--verify'])
  expect(stderr).toBe('')
  expect(stdout).not.toContain('fail')
  expect(stdout).toMatch(/^ok +folder +.*cache, format 1$/m)
  expect(stdout).toMatch(/^ok +results +all 1 whole/m)
  expect(code).toBe(0)
})

test('a cache that is not there is not made', async () => {
  using bench = new Bench()
  expect(await doctor(bench)).toMatchObject({ code: 0 })
  expect(readdirSync(bench.base)).toEqual(['project'])
})

test('a folder that is not ours fails, with what to do', async () => {
  using bench = new Bench()
  const report = await doctor(bench, [], { RECUE_CACHE_DIR: bench.root })
  expect(report).toMatchObject({ code: 1, status: 'fail' })
  expect(check(report, 'folder')).toMatchObject({ status: 'fail', hint: expect.stringMatching(/--cache-dir/) })
  expect(readdirSync(bench.root)).toEqual(['src'])
})

test('a folder that others may look into is a warning', async () => {
  using bench = new Bench()
  await bench.build()
  chmodSync(bench.cacheDir, 0o755)
  const report = await doctor(bench)
  expect(report).toMatchObject({ code: 0, status: 'warn' })
  expect(check(report, 'permissions')).toMatchObject({ status: 'warn', hint: expect.stringMatching(/chmod 700/) })
})

test('damaged content is found', async () => {
  using bench = new Bench()
  bench.write('src/a.txt', Array.from({ length: 3_000 }, (_, i) => `${i * 7919}`).join(' '))
  await bench.build()
  const journal = join(bench.cacheDir, 'journal')
  for (const name of readdirSync(journal)) {
    const bytes = readFileSync(join(journal, name))
    for (let i = 200; i < bytes.length; i += 97) bytes[i] = (bytes[i] as number) ^ 0xff
    writeFileSync(join(journal, name), bytes)
  }
  const report = await doctor(bench, ['--verify'])
  expect(report).toMatchObject({ code: 1, status: 'fail' })
  expect(check(report, 'results')).toMatchObject({
    status: 'fail',
    what: expect.stringMatching(/1 of 1 results are damaged/),
  })
})

test('a variable that is no option is named', async () => {
  using bench = new Bench()
  mkdirSync(join(bench.base, 'home'))
  const report = await doctor(bench, [], { RECUE_CACHEDIR: 'x' })
  expect(check(report, 'environment')).toMatchObject({ status: 'warn', what: expect.stringMatching(/RECUE_CACHEDIR/) })
})
