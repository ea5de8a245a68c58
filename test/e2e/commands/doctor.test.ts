import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench } from '../../fixtures/commands.ts'

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
  expect(stdout).toMatch(/^The cache (is well\.|works; see the warnings\.)\n$/m)
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
  expect(check(report, 'damaged')).toMatchObject({
    status: 'fail',
    what: expect.stringMatching(/^journal\/00000001\.seg: \d+ places? damaged/),
  })
  expect(check(report, 'lost')).toMatchObject({ status: 'fail', what: expect.stringMatching(/^result sh -c /) })
  // Nothing was changed by looking, and nothing is by saying what would be done.
  expect(await doctor(bench, ['--repair', '--dry-run'])).toMatchObject({ code: 1 })
  const repaired = await doctor(bench, ['--repair'])
  expect(repaired).toMatchObject({ code: 0, status: 'warn' })
  expect(check(repaired, 'repaired')).toMatchObject({ status: 'ok' })
  const healed = await doctor(bench, ['--verify'])
  expect(healed).toMatchObject({ code: 0, status: 'ok' })
  expect(check(healed, 'results')).toMatchObject({ what: expect.stringMatching(/none yet/) })
  const built = await bench.build()
  expect([built.code, built.stdout]).toEqual([0, 'built\n'])
})

test('a damaged index is read, told and mended without losing a result', async () => {
  using bench = new Bench()
  await bench.build()
  const index = join(bench.cacheDir, 'index.db')
  const bytes = readFileSync(index)
  bytes.fill(0x5a, 20_000, 30_000)
  writeFileSync(index, bytes)
  const report = await doctor(bench, ['--verify'])
  expect(report.code).toBe(1)
  expect(check(report, 'damaged')).toMatchObject({ what: expect.stringMatching(/^index\.db: /) })
  expect(check(report, 'lost')).toBeUndefined()
  expect(readFileSync(index).equals(bytes)).toBe(true)
  expect((await doctor(bench, ['--repair'])).code).toBe(0)
  expect((await bench.build()).stderr).toContain('hit')
})

test('--dry-run alone is a mistake', async () => {
  using bench = new Bench()
  expect((await bench.recue(['doctor', '--dry-run'])).code).toBe(125)
})

test('scrub reads all, finds what is damaged once, and refuses rates that are none', async () => {
  using bench = new Bench()
  await bench.build()
  expect(await bench.json(['scrub'])).toMatchObject({ damagedBlobs: 0, isDone: true })
  expect((await bench.recue(['scrub', '--limit', '0'])).code).toBe(125)
  expect((await bench.recue(['scrub', '--limit', 'fast'])).code).toBe(125)
  const segment = join(bench.cacheDir, 'journal', '00000001.seg')
  writeFileSync(segment, readFileSync(segment).fill(7, 40, 60))
  const quick = await bench.recue(['doctor'], { RECUE_REPAIR: '1', RECUE_VERIFY: '1' })
  expect(quick.stdout).toContain('recue doctor --verify')
  expect((await bench.recue(['doctor', '--verify'])).stdout).toMatch(/^The cache is not well/m)
  expect(readdirSync(bench.cacheDir)).not.toContain('damaged')
  const damaged = await bench.recue(['scrub', '--limit', '50MiB/s'])
  expect([damaged.code, damaged.stdout]).toEqual([1, expect.stringMatching(/[1-9]\d* damaged and set aside/)])
  expect((await bench.recue(['scrub', '--all'])).code).toBe(0)
})

test('a variable that is no option is named', async () => {
  using bench = new Bench()
  mkdirSync(join(bench.base, 'home'))
  const report = await doctor(bench, [], { RECUE_CACHEDIR: 'x' })
  expect(check(report, 'environment')).toMatchObject({ status: 'warn', what: expect.stringMatching(/RECUE_CACHEDIR/) })
})
