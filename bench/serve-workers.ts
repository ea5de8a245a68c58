import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, skippedRow } from './benchmark.ts'
import { content } from './blob-content.ts'
import { installed } from './installed.ts'
import { median } from './paired-runs.ts'
import { executable, inPlace, node, nodeEntry } from './place.ts'

/**
 * Two workers on two cores beside one on one. The load generator takes part of the same cores, so its processor time, which
 * is counted apart, is left out of the time that the servers had.
 */
export const serveWorkers: Benchmark = {
  name: 'serve-workers',
  run: async (options) => {
    const lacking = ['taskset', 'h2load'].find((program) => !installed(program))
    if (lacking !== undefined) return [skippedRow('workers of recue serve', `${lacking} is not installed`)]
    return inPlace('serve-workers', (folder) => measure(folder, options))
  },
}

const TASKSET = 'taskset'
const ROUNDS = 5
/** Enough that the system deals them out about evenly. */
const CONNECTIONS = 128
const CORES = ['0', '1'] as const
const BLOB = content(1024)
const PATH = '/v8/artifacts/0123456789abcdef'
/** Half the time would be all of a second core. */
const BAR = 0.75

interface Workers extends AsyncDisposable {
  readonly url: string
  readonly pids: readonly number[]
}

/** Milliseconds for all requests of a load. */
interface Spent {
  /** Of the cores that the servers had, when the load generator's share is taken out. */
  readonly wallMs: number
  /** Processor time of the worker that worked most: what it would have taken with a core for each. */
  readonly busiestMs: number
  readonly cpuMs: number
}

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  const requests = scaled(100_000, options, 5_000)
  for (const [name, argv] of [
    ['the executable', [executable]],
    ['Node', [node, nodeEntry]],
  ] as const) {
    const cache = path.join(folder, name)
    await using one = await started(argv, cache, 1)
    await using two = await started(argv, cache, 2)
    await fetch(one.url + PATH, { method: 'PUT', body: Buffer.from(BLOB) })
    for (const server of [one, two]) spent(server, Math.ceil(requests / 10))
    const rounds = Array.from({ length: scaled(ROUNDS, options, 2) }, () => ({
      one: spent(one, requests),
      two: spent(two, requests),
    }))
    const row = (what: string, of: (spent: Spent) => number, bar?: number): Row => ({
      what: `${requests.toLocaleString('en')} look-ups of 1 KiB by 128 clients, ${name}: ${what}`,
      ours: `2 workers ${shown(rounds.map(({ two }) => of(two)))}`,
      theirs: `1 worker ${shown(rounds.map(({ one }) => of(one)))}`,
      ratio: median(rounds.map((round) => of(round.two) / of(round.one))),
      ...(bar !== undefined && { bar }),
    })
    rows.push(
      row('time', ({ wallMs }) => wallMs, BAR),
      row('processor time of the worker that had most to do', ({ busiestMs }) => busiestMs, BAR),
      row('processor time of all', ({ cpuMs }) => cpuMs),
    )
  }
  return rows
}

function shown(ms: readonly number[]): string {
  return `${Math.round(median(ms))} ms`
}

/** Each worker on a core of its own. */
async function started(argv: readonly string[], cacheDir: string, count: number): Promise<Workers> {
  const [program = '', ...entry] = argv
  const flags = ['serve', '--http', '0', '--json', '--cache-dir', cacheDir, '--workers', `${count}`]
  const child = spawn(program, [...entry, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  const { http } = JSON.parse(String(value)) as { http: string }
  const pids = count === 1 ? [child.pid as number] : await workersOf(child, http, count)
  for (const [i, pid] of pids.entries()) execFileSync(TASKSET, ['-acp', CORES[i] ?? '0', `${pid}`])
  return {
    url: http,
    pids,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

/** All of them, when all of them answer. */
async function workersOf({ pid }: ChildProcess, url: string, count: number): Promise<number[]> {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')
  // State 0A is LISTEN: proc_net_tcp(5).
  const pattern = new RegExp(`:${port} 00000000:0000 0A `, 'g')
  const listening = () => readFileSync('/proc/net/tcp', 'utf8').match(pattern)?.length ?? 0
  while (listening() < count) await new Promise((resolve) => setTimeout(resolve, 20))
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
}

function spent({ url, pids }: Workers, requests: number): Spent {
  const before = pids.map(cpuMsOf)
  const loadBefore = childrenCpuMs()
  const start = performance.now()
  // Beside one server it has the other core; beside two it takes from both.
  const cores = pids.length === 1 ? '1' : CORES.join(',')
  const flags = ['--h1', '-n', `${requests}`, '-c', `${CONNECTIONS}`, url + PATH]
  const { stdout, stderr } = spawnSync(TASKSET, ['-c', cores, 'h2load', ...flags], { encoding: 'utf8' })
  const tookMs = performance.now() - start
  if (!stdout.includes(`${requests} succeeded`)) throw new Error(`h2load: ${stderr}${stdout}`)
  const loadMs = childrenCpuMs() - loadBefore
  const each = pids.map((pid, i) => cpuMsOf(pid) - (before[i] as number))
  return {
    wallMs: pids.length === 1 ? tookMs : tookMs - loadMs / CORES.length,
    busiestMs: Math.max(...each),
    cpuMs: each.reduce((sum, ms) => sum + ms, 0),
  }
}

/** User and system time, in ticks of 10 ms (proc_pid_stat(5)). */
function cpuMsOf(pid: number): number {
  const [user, system] = statOf(pid, 11)
  return (user + system) * 10
}

/** Of the processes that this one has waited for. */
function childrenCpuMs(): number {
  const [user, system] = statOf('self', 13)
  return (user + system) * 10
}

function statOf(pid: number | 'self', at: number): [number, number] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return [Number(fields[at]), Number(fields[at + 1])]
}

if (import.meta.main) await runAlone(serveWorkers)
