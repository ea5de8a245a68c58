import { expect, test } from 'vitest'
import { Bench, BUILD } from '../../fixtures/commands.ts'

const KEY = ['-i', 'src', '-o', 'dist', '--', 'sh', '-c', BUILD]

test('why says what changed, of the last run and of one that is named', async () => {
  using bench = new Bench()
  await bench.build()
  expect((await bench.recue(['why', 'last'])).stdout).toContain('first run of this')
  bench.write('src/a.txt', 'new')
  bench.write('src/c.txt', 'c')
  const built = await bench.build({ LANG: 'C' })
  expect(built.stderr).toContain('src/a.txt and 1 more file changed, LANG is set now')

  const last = await bench.recue(['why', 'last'])
  expect(last.code).toBe(0)
  expect(last.stdout).toContain('~ src/a.txt changed\n')
  expect(last.stdout).toContain('+ src/c.txt added\n')
  expect(last.stdout).toContain('+ LANG is set now\n')
  const named = await bench.json<{ why: { changes: object[] }; short: string; run: { key: string } }>([
    'why',
    `sh -c '${BUILD}'`,
  ])
  expect(named.why.changes).toContainEqual({ part: 'input', path: 'src/c.txt', how: 'added' })
  expect(named.short).toBe('src/a.txt and 1 more file changed, LANG is set now')
  // On a slow machine, "just now" is over by then.
  const timeless = (text: string) => text.replaceAll(/just now|\d+ s ago/g, 'then')
  expect(timeless((await bench.recue(['why', named.run.key.slice(0, 8)])).stdout)).toBe(timeless(last.stdout))
})

test('why compares with runs that failed, too', async () => {
  using bench = new Bench()
  const failing = () => bench.recue(['run', '-i', 'src', '--', 'sh', '-c', 'exit 3'])
  expect((await failing()).code).toBe(3)
  bench.write('src/b.txt', 'first change')
  await failing()
  bench.write('src/a.txt', 'second change')
  await failing()
  const { stdout } = await bench.recue(['why', 'last'])
  expect(stdout).toContain('compared with the uncached of')
  expect(stdout).toContain('~ src/a.txt changed\n')
  expect(stdout).not.toContain('src/b.txt')
  expect(await bench.json(['ls'])).toEqual([])
})

test('why of a hit says that the key is the same', async () => {
  using bench = new Bench()
  await bench.build()
  await bench.build()
  expect((await bench.recue(['why', 'last'])).stdout).toMatch(/: hit .*\nits key is the same as in the miss/)
})

test('why of what never ran is a mistake, and says what may be asked', async () => {
  using bench = new Bench()
  expect(await bench.recue(['why', 'last'])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/Nothing has been run/),
  })
  expect(await bench.recue(['why', 'build'])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/No run of build is recorded/),
  })
})

test('key is what run looks up, and explains itself', async () => {
  using bench = new Bench()
  await bench.build()
  const [entry] = await bench.json<{ key: string }[]>(['ls'])
  expect((await bench.recue(['key', ...KEY])).stdout).toBe(`${entry?.key}\n`)
  expect((await bench.recue(['key', '--explain', ...KEY])).stdout).toContain('the same as in the last run')
  bench.write('src/b.txt', 'new')
  const explained = await bench.recue(['key', '--explain', ...KEY], { LANG: 'secret-value' })
  expect(explained.stdout).toMatch(/inputs +2 files/)
  expect(explained.stdout).toMatch(/variables +LANG\n/)
  expect(explained.stdout).toContain('~ src/b.txt changed')
  expect(explained.stdout).not.toContain('secret-value')
})

test('keys of tasks hold those of the tasks before them', async () => {
  using bench = new Bench()
  bench.write(
    'recue.config.json',
    JSON.stringify({
      tasks: {
        gen: { command: 'cat src/a.txt > gen.txt', inputs: ['src/a.txt'], outputs: ['gen.txt'] },
        build: { command: 'cat gen.txt > out.txt', outputs: ['out.txt'], inputs: ['src/b.txt'], dependsOn: ['gen'] },
      },
    }),
  )
  const before = await bench.recue(['run', 'build'])
  expect(before.code, before.stderr).toBe(0)
  const entries = await bench.json<{ key: string; label: string }[]>(['ls'])
  for (const name of ['gen', 'build']) {
    expect((await bench.recue(['key', name])).stdout.trim()).toBe(entries.find(({ label }) => label === name)?.key)
  }
  expect((await bench.recue(['key', 'gen', 'build'])).stdout).toMatch(/^[0-9a-f]{64} {2}gen\n[0-9a-f]{64} {2}build\n$/)
})

test('a command that cannot be keyed has no key', async () => {
  using bench = new Bench()
  const { symlinkSync } = await import('node:fs')
  symlinkSync('/etc/hosts', `${bench.root}/src/out`)
  expect(await bench.recue(['key', ...KEY])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/no key/),
  })
})

test('what a run made is shown by the same names: last, the command line, the key', async () => {
  using bench = new Bench()
  expect((await bench.recue(['show', 'last'])).stderr).toContain('Nothing was run in this project yet.')
  await bench.build()
  const shown = await bench.json<{ key: string; outputs: object[] }>(['show', 'last'])
  expect(shown.outputs).toEqual([expect.objectContaining({ path: 'dist/all' })])
  expect(await bench.json(['show', `sh -c '${BUILD}'`])).toEqual(shown)
  expect(await bench.json(['show', shown.key])).toEqual(shown)
  expect((await bench.recue(['export', '-', 'nosuch'])).stderr).toContain('No task nosuch was run here')
})
