import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { Bench } from '../../fixtures/commands.ts'

const HASH = '3327693c43ba9014'
const REDS_OWN = '49133fe00c93f49c'

interface Entry {
  readonly key: string
  readonly instance: string
  readonly root: string
  readonly tool?: string
  readonly toolKey?: string
}

/** One hash in two instances, and one in an instance alone. */
async function brought(bench: Bench): Promise<void> {
  const main = join(import.meta.dirname, '../../../src/cli/main.ts')
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const server = spawn(process.execPath, [main, 'serve', '--http', '0', '--json'], {
    env: { PATH, NODE_COMPILE_CACHE, HOME: join(bench.base, 'home'), RECUE_CACHE_DIR: bench.cacheDir },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = once(server, 'close')
  try {
    const [line] = (await once(createInterface(server.stdout), 'line')) as [string]
    const { http } = JSON.parse(line) as { http: string }
    for (const path of [`/v8/artifacts/${HASH}`, `/red/v8/artifacts/${HASH}`, `/red/v8/artifacts/${REDS_OWN}`])
      expect((await put(http + path, `of ${path}`)).status).toBe(202)
  } finally {
    server.kill()
    await ended
  }
}

function put(url: string, body: string): Promise<Response> {
  return fetch(url, { method: 'PUT', body, headers: { 'x-artifact-duration': '1200' } })
}

test('what tools brought is found by their own keys, in its instance, and is whole', async () => {
  using bench = new Bench()
  await brought(bench)
  const entries = await bench.json<Entry[]>(['ls'])
  expect(entries.map(({ instance }) => instance).sort()).toEqual(['', 'red', 'red'])
  expect(entries.map(({ root }) => root)).toEqual(entries.map(({ instance }) => instance))
  expect(entries.map(({ tool, toolKey }) => `${tool} ${toolKey}`).sort()).toEqual([
    ...[`turborepo ${HASH}`, `turborepo ${HASH}`],
    `turborepo ${REDS_OWN}`,
  ])
  expect((await bench.recue(['ls'])).stdout).toContain(`turborepo ${HASH}`)

  expect(await bench.recue(['show', HASH])).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/2 instances have results.*\n.*--instance ''/),
  })
  const { stdout } = await bench.recue(['show', HASH, '--instance', 'red'])
  expect(stdout).toMatch(new RegExp(`^its key +${HASH}$`, 'm'))
  expect(stdout).toMatch(/^instance +red$/m)
  expect(stdout).toMatch(/^took +1\.2 s$/m)
  expect(stdout).not.toMatch(/^exit/m)
  expect(await bench.json(['show', HASH, '--instance', ''])).toMatchObject({ instance: '', toolKey: HASH })
  expect(await bench.json(['show', REDS_OWN])).toMatchObject({ instance: 'red', toolKey: REDS_OWN })
  expect(await bench.recue(['show', 'no hash'])).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('is not a key'),
  })

  const { checks } = await bench.json<{ checks: { name: string; status: string; what: string }[] }>(['doctor'])
  expect(checks.find(({ name }) => name === 'results')).toMatchObject({
    status: 'ok',
    what: expect.stringMatching(/^all 3 whole/),
  })
}, 60_000)

test('pins and exports are of an instance', async () => {
  using bench = new Bench()
  await brought(bench)
  expect(await bench.recue(['pin', HASH, '--instance', 'red'])).toMatchObject({ code: 0 })
  expect(await bench.json(['gc', '--target', '0'])).toMatchObject({ removedActions: 2, pinnedActions: 1 })
  expect(await bench.json(['ls'])).toEqual([expect.objectContaining({ instance: 'red', pinned: true })])

  const file = join(bench.base, 'archive')
  expect(await bench.recue(['export', file])).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^Exported 0 results.*\nOther instances are not in it: --instance red\.\n$/),
  })
  expect(await bench.json(['export', file, '--instance', 'red'])).toMatchObject({ actions: 1, absent: [] })
  expect(await bench.json(['import', file, '--instance', 'blue'])).toMatchObject({ actions: 1 })
  expect((await bench.json<Entry[]>(['ls'])).map(({ instance }) => instance).sort()).toEqual(['blue', 'red'])
  expect(await bench.json(['unpin', HASH, '--instance', 'red'])).toMatchObject({ wasPinned: true })
}, 60_000)
