import { expect, test } from 'vitest'
import { Bench } from '../../fixtures/commands.ts'

interface Entry {
  readonly key: string
  readonly pinned?: boolean
  readonly pinnedUntilMs?: number
}

test('a pinned result outlives a collection of all there is, until it is unpinned', async () => {
  using bench = new Bench()
  await bench.build()
  const [{ key } = { key: '' }] = await bench.json<Entry[]>(['ls'])
  const { pinnedUntilMs } = await bench.json<Entry>(['pin', '--for', '30d', key])
  expect(pinnedUntilMs).toBeGreaterThan(Date.now() + 29 * 86_400_000)
  expect(await bench.recue(['gc', '--target', '0'])).toMatchObject({
    stdout: expect.stringMatching(/: 1 result \(1 pinned\), |^Removed 0 .*\nKept 1 result \(1 pinned\), /),
  })
  expect(await bench.json<Entry[]>(['ls'])).toEqual([expect.objectContaining({ key, pinned: true, pinnedUntilMs })])
  expect((await bench.recue(['ls'])).stdout).toMatch(/pinned.*\n.* 30 d /)
  expect((await bench.recue(['show', key.slice(0, 8)])).stdout).toMatch(/^pinned +30 d$/m)
  expect(await bench.recue(['unpin', key.slice(0, 8)])).toMatchObject({
    code: 0,
    stdout: `${key.slice(0, 10)} is no longer pinned.\n`,
  })
  expect(await bench.json(['gc', '--target', '0'])).toMatchObject({ removedActions: 1, pinnedActions: 0 })
}, 60_000)

test('a pin of nothing, and limits that nobody can mean, are refused by name', async () => {
  using bench = new Bench()
  expect((await bench.recue(['pin', 'nosuchtask'])).stderr).toContain('No task nosuchtask was run here')
  const refused = async (flag: string, value: string, message: string) =>
    expect(await bench.recue(['gc', flag, value])).toMatchObject({
      code: 125,
      stderr: expect.stringContaining(message),
    })
  await refused('--max-cache-size', '0', '--max-cache-size: "0" is too little')
  await refused('--max-cas-size', '8000TB', 'maxCasSize is 8.0 PB, and the disk of')
  await refused('--max-entries', '0', '--max-entries: "0" is too little')
  await refused('--ttl', '0', '--ttl: "0" is too little')
}, 60_000)
