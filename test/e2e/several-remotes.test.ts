import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { freePort } from './free-port.ts'
import { type Report, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { ServeProcess } from './serve-process.ts'

/** Builds over several servers that share all keys, while servers die, stand still, come back empty, are left out and added. */
const TASKS = 12
const OUTPUTS = [300, 20_000, 200_000]

interface Servers extends AsyncDisposable {
  readonly ports: number[]
  readonly running: ServeProcess[]
  /** Servers by their places. */
  address(...places: number[]): string
  start(place: number, name: string): Promise<void>
}

async function serversOf(runtime: Runtime, box: Sandbox, count: number): Promise<Servers> {
  const ports: number[] = []
  for (let i = 0; i < count; i++) ports.push(await freePort())
  const running: ServeProcess[] = []
  const start = async (place: number, name: string) => {
    const server = new ServeProcess(runtime, path.join(box.folder, name), [
      ...['--http', '0', '--grpc', `127.0.0.1:${ports[place]}`, '--workers', '1'],
    ])
    running[place] = server
    await server.addresses()
  }
  await Promise.all(ports.map((_, i) => start(i, `server-${i}`)))
  return {
    ...{ ports, running, start },
    address: (...places) => places.map((i) => `grpc://127.0.0.1:${ports[i]}#name=server-${i}`).join(','),
    async [Symbol.asyncDispose]() {
      for (const server of running) await server[Symbol.asyncDispose]()
    },
  }
}

/** What a task makes, of sizes that lie beside a result and of one that does not. */
function commandOf(text: string): string {
  const made = OUTPUTS.map((bytes, i) => `yes ${text}-${i} | head -c ${bytes} > out/${text}-${i}`)
  return ['mkdir -p out', ...made].join('; ')
}

interface Built {
  readonly code: number | null
  readonly runs: readonly Report[]
  readonly said: string
}

/** All tasks on a machine that has no cache of its own yet. */
async function build(
  runtime: Runtime,
  box: Sandbox,
  machine: string,
  remote: string,
  { cache = 'local:rw,remote:rw', begun }: { readonly cache?: string; readonly begun?: () => Promise<void> } = {},
): Promise<Built> {
  const folder = path.join(box.folder, machine)
  mkdirSync(folder, { recursive: true })
  const tasks = Object.fromEntries(
    Array.from({ length: TASKS }, (_, i) => {
      return [
        `task-${i}`,
        { command: commandOf(`t${i}`), inputs: ['src'], outputs: OUTPUTS.map((_, j) => `out/t${i}-${j}`) },
      ]
    }),
  )
  writeFileSync(path.join(folder, 'recue.config.json'), JSON.stringify({ tasks }))
  mkdirSync(path.join(folder, 'src'))
  writeFileSync(path.join(folder, 'src/a'), 'a')
  const [program = '', ...before] = runtime.argv
  const report = path.join(folder, 'report.json')
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    RECUE_CACHE_DIR: path.join(folder, 'cache'),
    RECUE_REMOTE: remote,
    RECUE_CACHE: cache,
    RECUE_UPLOAD_WAIT: '20s',
    RECUE_REMOTE_TIMEOUT: '2s',
  }
  const words = [...before, 'run', '--report', report, '--concurrency', '2', ...Object.keys(tasks)]
  const child = spawn(program, words, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const said = child.stderr.toArray()
  await begun?.()
  const [code] = await once(child, 'exit')
  for (let i = 0; i < TASKS; i++)
    for (const [j, bytes] of OUTPUTS.entries()) {
      const line = `t${i}-${j}\n`
      const right = line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes)
      expect(readFileSync(path.join(folder, `out/t${i}-${j}`), 'utf8') === right).toBe(true)
    }
  const { runs } = JSON.parse(readFileSync(report, 'utf8')) as { readonly runs: readonly Report[] }
  return { code, runs, said: Buffer.concat(await said).toString() }
}

const hits = ({ runs }: Built) => runs.filter(({ status, source }) => status === 'hit' && source === 'remote').length
const READ = { cache: 'local:rw,remote:r' }

describe.each(runtimes)('$name', { timeout: 240_000 }, (runtime) => {
  test('servers die, stand still, come back empty, are left out and added: no build fails, and hits recover', async () => {
    await using box = sandbox('several-remotes')
    await using servers = await serversOf(runtime, box, 5)
    const four = servers.address(0, 1, 2, 3)
    expect((await build(runtime, box, 'first', four)).code).toBe(0)
    expect(hits(await build(runtime, box, 'second', four, READ))).toBe(TASKS)

    // One of four dies, and each key is on another.
    await servers.running[1]?.[Symbol.asyncDispose]()
    const without = await build(runtime, box, 'third', four, READ)
    expect([without.code, hits(without)]).toEqual([0, TASKS])

    // Then one stands still in the middle of a build.
    const standing = servers.running[2]?.child
    const held = await build(runtime, box, 'fourth', four, {
      begun: async () => void standing?.kill('SIGSTOP'),
    })
    expect(held.code).toBe(0)
    standing?.kill('SIGCONT')

    // The dead one is there again, with nothing: what is read is brought back to it.
    await servers.start(1, 'server-1-anew')
    const again = await build(runtime, box, 'fifth', four)
    expect(again.code).toBe(0)
    const healed = await build(runtime, box, 'sixth', four, READ)
    expect([healed.code, hits(healed)]).toEqual([0, TASKS])

    // One is left out; what only that one and the empty one had is made anew, and then all is there, also when one more is named.
    const fewer = await build(runtime, box, 'seventh', servers.address(0, 1, 3))
    expect([fewer.code, hits(fewer) > 0]).toEqual([0, true])
    for (const [machine, address] of [
      ['eighth', servers.address(0, 1, 3)],
      ['ninth', servers.address(0, 1, 3, 4)],
    ] as const) {
      const built = await build(runtime, box, machine, address, READ)
      expect([built.code, hits(built)]).toEqual([0, TASKS])
    }
  })

  test('each is asked by doctor, and each has to be trusted where a checkout names them', async () => {
    await using box = sandbox('several-remotes')
    await using servers = await serversOf(runtime, box, 2)
    const [one = '', other = ''] = servers.ports.map((port) => `grpc://127.0.0.1:${port}`)
    const project = path.join(box.folder, 'project')
    mkdirSync(project)
    writeFileSync(path.join(project, 'a'), 'a')
    const config = (remote: readonly string[]) =>
      writeFileSync(path.join(project, 'recue.config.json'), JSON.stringify({ remote }))
    const run = () => box.recue(runtime, ['run', '-i', 'a', '-o', 'b', '--upload-wait', '20s', '--', 'cp', 'a', 'b'])

    config([one, `${other}#weight=2`])
    expect(box.recue(runtime, ['login', one, '--anonymous'])).toMatchObject({ status: 0 })
    const refused = run()
    expect([refused.status, refused.stderr]).toEqual([0, expect.stringContaining(`recue login ${other}`)])
    expect(box.recue(runtime, ['config']).stdout).toMatch(
      /remote {2}grpc:\/\/127\.0\.0\.1:\d+: used, and shown no token\n/,
    )
    expect(box.recue(runtime, ['login', other, '--anonymous'])).toMatchObject({ status: 0 })
    const both = box.recue(runtime, ['doctor']).stdout
    for (const address of [one, other]) expect(both).toContain(`${address} reads and writes`)

    await servers.running[1]?.[Symbol.asyncDispose]()
    const less = box.recue(runtime, ['doctor']).stdout
    expect(less).toContain(`${one} reads and writes`)
    expect(less).toContain(`${other} cannot be reached`)
    config([one, one])
    expect(box.recue(runtime, ['doctor']).stdout).toContain('named twice')
  })
})
