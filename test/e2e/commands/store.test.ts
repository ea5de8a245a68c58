import { mkdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Bench } from '../../fixtures/commands.ts'

interface Entry {
  readonly key: string
  readonly label: string
  readonly contentBytes: number
  readonly root: string
}

test('an empty cache has nothing to list, and says so', async () => {
  using bench = new Bench()
  expect(await bench.recue(['ls'])).toMatchObject({ code: 0, stdout: 'Nothing is kept yet.\n', stderr: '' })
  expect(await bench.recue(['stats'])).toMatchObject({ code: 0, stdout: 'Nothing has been run yet.\n' })
  expect(await bench.recue(['du'])).toMatchObject({ code: 0 })
  expect(await bench.recue(['gc'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Nothing to collect/) })
  expect(await bench.json(['ls'])).toEqual([])
})

test('ls lists the newest first, sorts, and knows what is unused', async () => {
  using bench = new Bench()
  await bench.build()
  bench.write('src/a.txt', 'x'.repeat(10_000))
  await bench.build()
  bench.write('src/a.txt', 'short')
  await bench.build()
  const entries = await bench.json<Entry[]>(['ls'])
  expect(entries.length).toBe(3)
  expect(entries[0]).toMatchObject({
    label: expect.stringMatching(/^sh -c/),
    root: bench.root,
    durationMs: expect.any(Number),
  })
  const [largest] = await bench.json<Entry[]>(['ls', '--sort', 'size'])
  expect(largest).toEqual(entries[1])
  expect(await bench.json(['ls', '--unused', '1h'])).toEqual([])
  expect(await bench.json(['ls', '--unused', '0'])).toHaveLength(3)

  const { stdout } = await bench.recue(['ls', '--limit', '2'])
  const lines = stdout.split('\n')
  expect(lines[0]).toMatch(/^key +made +used +size +took +what +in$/)
  expect(lines[1]).toContain((entries[0] as Entry).key.slice(0, 10))
  expect(lines[3]).toBe('… and 1 more: recue ls --limit 3')
})

test('show tells of a result, and prints what the command printed', async () => {
  using bench = new Bench()
  await bench.build()
  const [{ key } = { key: '' }] = await bench.json<Entry[]>(['ls'])
  const { stdout } = await bench.recue(['show', key.slice(0, 6)])
  expect(stdout).toContain(`key      ${key}\n`)
  expect(stdout).toMatch(/outputs +1 file, 2 B\n +2 B {2}dist\/all\n/)
  expect(stdout).toMatch(/printed +6 B to stdout, 3 B to stderr/)
  expect(await bench.recue(['show', key, '--stdout'])).toMatchObject({ code: 0, stdout: 'built\n', stderr: '' })
  expect(await bench.recue(['show', key, '--stderr'])).toMatchObject({ stdout: 'hm\n' })
  expect(await bench.json(['show', key])).toMatchObject({
    ...{ key, root: bench.root, exitCode: 0, stdoutBytes: 6, stderrBytes: 3 },
    outputs: [{ path: 'dist/all', sizeBytes: 2, isExecutable: false }],
  })
})

test('a key that is none, or of which nothing is kept, is a mistake', async () => {
  using bench = new Bench()
  await bench.build()
  expect(await bench.recue(['show', 'abc'])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/"abc" is not a key/),
  })
  expect(await bench.recue(['show', 'f'.repeat(64)])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/No key begins with/),
  })
})

test('stats count every run, and the tasks', async () => {
  using bench = new Bench()
  for (let i = 0; i < 3; i++) await bench.build()
  await bench.recue(['run', '-i', 'src', '--', 'sh', '-c', 'exit 3'])
  const stats = await bench.json<Record<string, unknown>>(['stats'])
  expect(stats).toMatchObject({ runs: 4, hits: 2, misses: 1, uncached: 1, bypassed: 0, hitRate: 0.5, storedBytes: 2 })
  expect(stats.tasks).toMatchObject([
    { runs: 3, hits: 2, misses: 1 },
    { label: "sh -c 'exit 3'", runs: 1, hits: 0 },
  ])
  expect(stats.ownTime).toMatchObject({ hit: { runs: 2 }, miss: { runs: 1 } })
  const { stdout } = await bench.recue(['stats', '--since', '1h'])
  expect(stdout).toMatch(/hits +2 \(50 %\)\nmisses +1, and 1 not kept\n/)
})

test('du says what fills the cache, and points at caches of tools', async () => {
  using bench = new Bench()
  await bench.build()
  await bench.recue([
    'run',
    '-i',
    'src',
    '-o',
    '.next',
    '--',
    'sh',
    '-c',
    'mkdir -p .next/cache; seq 20000 > .next/cache/x.pack; echo > .next/y.js',
  ])
  const { stdout } = await bench.recue(['du'])
  expect(stdout).toMatch(/hint: the outputs of sh -c .* hold 109 kB of \.next\/cache\/,/)
  const usage = await bench.json<{ parts: Record<string, number>; diskBytes: number; toolCaches: unknown }>([
    'du',
    '--by',
    'extension',
  ])
  expect(usage).toMatchObject({ by: 'extension', toolCaches: [{ path: '.next/cache', contentBytes: 108_894 }] })
  expect(usage).toMatchObject({ results: [{ name: '.pack', results: 1, contentBytes: 108_894 }, {}, {}] })
  expect(Object.values(usage.parts).reduce((sum, bytes) => sum + bytes, 0)).toBe(usage.diskBytes)
  expect(await bench.json(['du', '--by', 'project'])).toMatchObject({ results: [{ name: bench.root, results: 2 }] })
})

test('gc to a target removes, and a dry run does not', async () => {
  using bench = new Bench()
  mkdirSync(`${bench.root}/many`)
  await bench.build()
  bench.write('src/a.txt', 'other')
  await bench.build()
  const dry = await bench.json<{ removedActions: number; dryRun: boolean }>(['gc', '--target', '0', '--dry-run'])
  expect(dry.dryRun).toBe(true)
  expect(await bench.json(['ls'])).toHaveLength(2)
  const { stdout } = await bench.recue(['gc', '--target', '0', '--dry-run'])
  expect(stdout).toMatch(/^(Would remove|Nothing to collect)/)
})
