import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Machine, machine as machineWith, remote } from './machine.ts'
import { type Ended, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { type LogLine, READ_TOKEN, type Served, serveStore, WRITE_TOKEN } from './served.ts'

/** Long enough that a look at the remote is worth waiting for, whatever it takes to get there. */
const CONFIG = {
  tasks: {
    lib: { command: 'sleep 0.5; mkdir -p lib && cp src/a lib/a && echo made lib', inputs: ['src'], outputs: ['lib'] },
    app: {
      command: 'sleep 0.5; mkdir -p app && cp lib/a app/a && echo made app',
      dependsOn: ['lib'],
      inputs: ['lib'],
      outputs: ['app'],
    },
    lint: { command: 'echo linted', inputs: ['src'] },
    all: { dependsOn: ['app', 'lint'] },
  },
}

const machine = (box: Sandbox, runtime: Runtime, name: string): Machine => machineWith(box, runtime, name, CONFIG)
const json = ({ stdout, stderr }: Ended) => {
  expect(stdout, stderr).not.toBe('')
  return JSON.parse(stdout)
}
const ALL = ['run', 'all']

let marks = 0
/** What the server was asked so far, by others than this function. */
async function heardBy({ log, url }: Served): Promise<LogLine[]> {
  const mark = `/mark-${++marks}`
  await fetch(url + mark)
  while (!log.some((line) => line.path === mark)) await new Promise(setImmediate)
  return log.filter((line) => !line.path.startsWith('/mark-'))
}

describe.each(runtimes)('on $name', (runtime) => {
  test('what was built offline is sent by push, and fetched by warm and pull, which touch no workspace', async () => {
    await using box = sandbox('push')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const [a, b] = [machine(box, runtime, 'a'), machine(box, runtime, 'b')]
    const writes = remote(served, WRITE_TOKEN)
    expect(a.recue(ALL).status).toBe(0)
    const planned = json(a.recue(['push', '--dry-run', '--json'], writes))
    expect(planned).toMatchObject({ results: 3 })
    expect(await heardBy(served)).toEqual([])
    const sent = a.recue(['push', '--json'], writes)
    expect(json(sent)).toMatchObject({ results: 3, absent: [], failed: [], uploads: 0 })
    expect(json(sent).blobs).toBeGreaterThan(0)
    expect(json(a.recue(['push', 'lib', '--json'], writes))).toMatchObject({ results: 1, blobs: 0 })
    expect(a.recue(['push', 'nothing-of-that-name'], writes)).toMatchObject({ status: 125 })

    const reads = remote(served, READ_TOKEN)
    const warmed = json(b.recue(['warm', '--json'], reads))
    const states = Object.fromEntries(warmed.tasks.map(({ task, state }: Record<string, string>) => [task, state]))
    expect(states).toEqual({ lib: 'fetched', lint: 'fetched', app: 'fetched' })
    expect(existsSync(path.join(b.project, 'lib'))).toBe(false)
    expect(b.run({}, 'lib').reports.lib).toMatchObject({ status: 'hit', source: 'local' })
    const again = b.recue(['warm'], reads)
    expect(again.stdout).toMatch(/here lib .*\n(.*\n)*here app/)
    expect(b.run({}, 'all').reports.app).toMatchObject({ status: 'hit', source: 'local' })

    expect(a.recue(['gc', '--target', '0']).status).toBe(0)
    const pulled = json(a.recue(['pull', '--json'], reads))
    expect(pulled).toMatchObject({ results: 3, absent: [], failed: [] })
    expect(a.recue(['pull'], reads).stdout).toContain('is here')
    expect(a.run({}, 'all').reports.app).toMatchObject({ status: 'hit', source: 'local' })
  })

  test('what cannot be sent or fetched is said, and the exit code says it, too', async () => {
    await using box = sandbox('push')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const a = machine(box, runtime, 'a')
    a.recue(ALL)
    const denied = a.recue(['push'], remote(served, READ_TOKEN))
    expect([denied.status, denied.stdout]).toEqual([1, expect.stringContaining('Failed for 3 results')])
    const away = a.recue(['push'], { RECUE_REMOTE: 'grpc://127.0.0.1:1' })
    expect([away.status, away.stdout]).toEqual([1, expect.stringContaining('cannot be reached')])
    const absent = a.recue(['pull', `${'a'.repeat(64)}/7`], remote(served, READ_TOKEN))
    expect([absent.status, absent.stdout]).toEqual([1, expect.stringContaining('aaaaaaaaaa')])
    expect(a.recue(['push']).status).toBe(125)
    const readOnly = a.recue(['push'], { ...remote(served, WRITE_TOKEN), RECUE_CACHE: 'local:rw,remote:r' })
    expect([readOnly.status, readOnly.stderr]).toEqual([125, expect.stringContaining('--cache local:rw,remote:rw')])
    const forOnce = ['push', '--cache', 'local:rw,remote:rw']
    expect(a.recue(forOnce, { ...remote(served, WRITE_TOKEN), RECUE_CACHE: 'local:rw,remote:r' }).status).toBe(0)
  })

  test('a checkout that names the remote, or the cache folder, has nothing sent or fetched', async () => {
    await using box = sandbox('push')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const a = machine(box, runtime, 'a')
    a.recue(ALL)
    const { RECUE_REMOTE, RECUE_REMOTE_TOKEN } = remote(served, WRITE_TOKEN)
    const config = path.join(a.project, 'recue.config.json')
    writeFileSync(config, JSON.stringify({ ...CONFIG, remote: RECUE_REMOTE }))
    for (const command of ['push', 'pull', 'warm']) {
      if (command !== 'push') a.recue(['gc', '--target', '0'])
      const said = a.recue([command], { RECUE_REMOTE_TOKEN })
      expect([said.status, said.stdout], command).toEqual([1, expect.stringContaining('this checkout names it')])
    }
    writeFileSync(config, JSON.stringify({ ...CONFIG, cacheDir: 'theirs' }))
    const foreign = box.recue(runtime, ['push'], {
      cwd: a.project,
      env: { RECUE_CACHE_DIR: undefined as never, RECUE_REMOTE, RECUE_REMOTE_TOKEN },
    })
    expect([foreign.status, foreign.stderr]).toEqual([
      125,
      expect.stringContaining('this checkout chose the cache folder'),
    ])
    expect(await heardBy(served)).toEqual([])
  })

  test.each(['grpc', 'http'])('a token that only reads is found out once, over %s', async (scheme) => {
    await using box = sandbox('reads')
    await using served = await serveStore(runtime, path.join(box.folder, 'server'))
    const a = machine(box, runtime, 'a')
    const reads = {
      RECUE_REMOTE: served.url.replace(/^http/, scheme),
      RECUE_REMOTE_TOKEN: READ_TOKEN,
      RECUE_UPLOAD_WAIT: '1m',
      RECUE_REMOTE_TIMEOUT: '10s',
    }
    a.run(reads, '-i', 'src', '--', 'sh', '-c', 'sleep 0.5; echo one')
    const uploads = async () =>
      (await heardBy(served)).filter(({ method, path: asked }) => {
        return method === 'PUT' || /Find|Update|Write/.test(asked)
      }).length
    const first = await uploads()
    expect(first).toBeGreaterThan(0)
    a.run(reads, '-i', 'src', '--', 'sh', '-c', 'sleep 0.5; echo two')
    expect(await uploads()).toBe(first)
    expect(a.recue(['push', '--json'], reads).status).toBe(1)
    const pushed = await uploads()
    expect(pushed).toBeGreaterThan(first)
    a.run(reads, '-i', 'src', '--', 'sh', '-c', 'sleep 0.5; echo three')
    a.run({ ...reads, RECUE_REMOTE_TOKEN: WRITE_TOKEN }, '-i', 'src', '--', 'sh', '-c', 'sleep 0.5; echo four')
    expect(await uploads()).toBeGreaterThan(pushed)
  })
})
