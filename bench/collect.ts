/**
 * A collection of a fifth of a store of many small entries: time for each entry removed, against a plain DELETE of the same
 * rows in SQLite; peak memory; the longest that the event loop, and a reader and a writer in another process, were held up.
 *
 *   node bench/collect.ts [--scale 0.1] [--curve]     (a curve ends at a million entries)
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { asActionDigest } from '../src/digest/digest.ts'
import { digestOf } from '../src/digest/sha256.ts'
import { ActionResult, ExecutedActionMetadata } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
// Loaded before anything is measured: from TypeScript that takes tens of milliseconds.
import '../src/store/local/collector/catalog.ts'
import { openLocalStore } from '../src/store/local/local-store.ts'
import { type Benchmark, type Row, runAlone, scaled } from './benchmark.ts'
import { inFolder } from './place.ts'

export const collectBenchmark: Benchmark = {
  name: 'collect',
  run: async (options) => {
    const rows: Row[] = []
    for (const entries of [100_000, ...(options.curve ? [1_000_000] : [])])
      rows.push(...(await inFolder('collect', (folder) => measure(scaled(entries, options, 1000), folder))))
    return rows
  },
}

const CONTENT_BYTES = 300
const AT_ONCE = 500

/** Its bytes, size and cost follow from its number: any process can ask for it. */
function entryOf(number: number) {
  const seed = createHash('sha256').update(`entry ${number}`).digest()
  const content = createHash('shake256', { outputLength: CONTENT_BYTES + (seed[0] as number) })
    .update(seed)
    .digest()
  const digest = digestOf(content)
  const at = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 })
  const nothing = new Uint8Array(0)
  const result: ActionResult = {
    ...ActionResult.decode(nothing),
    outputFiles: [
      { path: `out/${number}.js`, digest, isExecutable: false, contents: Buffer.alloc(0), nodeProperties: undefined },
    ],
    executionMetadata: {
      ...ExecutedActionMetadata.decode(nothing),
      executionStartTimestamp: at(0),
      executionCompletedTimestamp: at(10 + seed.readUInt16LE(1)),
    },
  }
  return { key: asActionDigest(digestOf(seed)), result, digest, content }
}

async function fill(dir: string, entries: number): Promise<void> {
  await using store = await openLocalStore({ dir, maxCacheBytes: 50e9 })
  for (let at = 0; at < entries; at += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, entries - at) }, (_, i) => entryOf(at + i))
    await Promise.all(some.map(({ digest, content }) => store.blobs.write(DEFAULT_SCOPE, digest, content)))
    await Promise.all(some.map(({ key, result }) => store.actions.put(DEFAULT_SCOPE, key, result)))
  }
}

async function collect(dir: string, entries: number): Promise<void> {
  // A day later: nothing is protected for having been used just now. The low mark of a count is four fifths of it.
  const now = () => Date.now() + 86_400_000
  await using store = await openLocalStore({ dir, maxCacheBytes: 50e9, maxEntries: entries, now })
  const idleBytes = process.memoryUsage.rss()
  const steps = new Steps()
  const cpu = process.cpuUsage()
  const started = performance.now()
  const report = await store.catalog.collect()
  const ms = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  say({ ...report, ms, cpuMs: (user + system) / 1000, longestMs: steps.end(), peakBytes: peak() - idleBytes })
}

/** How much of a processor's time passes between two turns of the event loop; by the clock it would be that of others, too. */
class Steps {
  #longestUs = 0
  #isOver = false

  constructor() {
    let before = process.threadCpuUsage()
    const look = () => {
      const now = process.threadCpuUsage()
      this.#longestUs = Math.max(this.#longestUs, now.user + now.system - before.user - before.system)
      before = now
      if (!this.#isOver) setImmediate(look)
    }
    setImmediate(look)
  }

  end(): number {
    this.#isOver = true
    return this.#longestUs / 1000
  }
}

/** Reads and puts in turn until it is told to stop. */
async function neighbour(dir: string, entries: number): Promise<void> {
  await using store = await openLocalStore({ dir, maxCacheBytes: 50e9 })
  const reads: number[] = []
  const puts: number[] = []
  let isOver = false
  process.once('message', () => {
    isOver = true
  })
  if (process.send === undefined) throw new Error('started by the benchmark alone')
  process.send('ready')
  for (let round = 0; !isOver; round++) {
    const { key } = entryOf((round * 7919) % entries)
    const read = performance.now()
    await store.actions.get(DEFAULT_SCOPE, key)
    reads.push(performance.now() - read)
    const { result, digest, content, key: fresh } = entryOf(entries + round)
    const put = performance.now()
    await store.blobs.write(DEFAULT_SCOPE, digest, content)
    await store.actions.put(DEFAULT_SCOPE, fresh, result)
    puts.push(performance.now() - put)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  say({ reads: timesOf(reads), puts: timesOf(puts) })
  process.disconnect?.()
}

interface Times {
  readonly p99Ms: number
  readonly mostMs: number
}

function timesOf(all: number[]): Times {
  const sorted = all.sort((a, b) => a - b)
  return { p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0, mostMs: sorted.at(-1) ?? 0 }
}

/** The same rows in tables without anything else, a fifth of them deleted by key in transactions of a hundred. */
function plainDelete(dir: string, copy: string): void {
  {
    using into = new DatabaseSync(copy)
    into.exec('PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF')
    into.exec(`ATTACH '${path.join(dir, 'index.db')}' AS store`)
    for (const [name, key, value] of [
      ['blobs', 'hash', 'place'],
      ['actions', 'key', 'value'],
    ])
      into.exec(
        `CREATE TABLE ${name} (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID; INSERT INTO main.${name} SELECT ${key}, ${value} FROM store.${name}`,
      )
  }
  using db = new DatabaseSync(copy)
  db.exec('PRAGMA synchronous=OFF')
  // Spread over the whole table, as victims are.
  const keys = ['actions', 'blobs'].map((name) =>
    db.prepare(`SELECT key FROM ${name} WHERE hex(substr(key, 32, 1)) < '33'`).all(),
  ) as { key: Uint8Array }[][]
  const cpu = process.cpuUsage()
  for (const [i, name] of ['actions', 'blobs'].entries()) {
    const remove = db.prepare(`DELETE FROM ${name} WHERE key=?`)
    const all = keys[i] ?? []
    for (let at = 0; at < all.length; at += 100) {
      db.exec('BEGIN IMMEDIATE')
      for (const { key } of all.slice(at, at + 100)) remove.run(key)
      db.exec('COMMIT')
    }
  }
  const { user, system } = process.cpuUsage(cpu)
  say({ cpuMs: (user + system) / 1000, removed: keys[0]?.length ?? 0 })
}

function say(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

function peak(): number {
  return process.resourceUsage().maxRSS * 1024
}

function child(job: string, ...rest: string[]): ChildProcess {
  const stdio = ['ignore', 'pipe', 'inherit', 'ipc'] as const
  return spawn(process.execPath, [fileURLToPath(import.meta.url), '--job', job, ...rest], { stdio: [...stdio] })
}

async function answer<T>(process: ChildProcess): Promise<T> {
  let text = ''
  process.stdout?.on('data', (some) => {
    text += some
  })
  const code = await new Promise<number | null>((resolve) => process.once('close', resolve))
  if (code !== 0) throw new Error(`a part of the benchmark ended with ${code}`)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

interface Collected {
  readonly ms: number
  readonly removedActions: number
  readonly keptActions: number
  readonly longestMs: number
  readonly cpuMs: number
  readonly peakBytes: number
}

async function measure(entries: number, folder: string): Promise<readonly Row[]> {
  const dir = path.join(folder, 'cache')
  await answer(child('fill', dir, String(entries)))
  const alone = path.join(folder, 'alone')
  cpSync(dir, alone, { recursive: true })
  const plain = await answer<{ cpuMs: number; removed: number }>(child('plain', dir, path.join(folder, 'plain.db')))
  const ours = await answer<Collected>(child('collect', alone, String(entries)))
  const idle = await timesBeside(alone, entries, () => new Promise((resolve) => setTimeout(resolve, IDLE_MS)))
  const beside = await timesBeside(dir, entries, () => answer(child('collect', dir, String(entries))))
  return rows(entries, { ours, plain, idle, beside })
}

/** As long as a collection takes, or so. */
const IDLE_MS = 4_000

interface Neighbour {
  readonly reads: Times
  readonly puts: Times
}

/** What a process that reads and puts meets while something else goes on. */
async function timesBeside(dir: string, entries: number, work: () => Promise<unknown>): Promise<Neighbour> {
  const other = child('neighbour', dir, String(entries))
  const told = answer<Neighbour>(other)
  await new Promise((resolve) => other.once('message', resolve))
  await work()
  other.send('stop')
  return told
}

function rows(
  entries: number,
  m: {
    ours: Collected
    plain: { cpuMs: number; removed: number }
    idle: Neighbour
    beside: Neighbour
  },
): Row[] {
  const each = (m.ours.cpuMs * 1000) / m.ours.removedActions
  const floor = (m.plain.cpuMs * 1000) / m.plain.removed
  const of = `collect, ${entries} entries`
  const against = (what: string, ours: Times, idle: Times, bar?: number): Row => ({
    what: `${of}: ${what}`,
    ours: `${ours.p99Ms.toFixed(2)} ms (longest ${ours.mostMs.toFixed(0)})`,
    theirs: `idle ${idle.p99Ms.toFixed(2)} ms (longest ${idle.mostMs.toFixed(0)})`,
    ratio: ours.p99Ms / idle.p99Ms,
    ...(bar === undefined ? {} : { bar }),
  })
  const fact = (what: string, ours: string, ratio: number, bar?: number, unit?: string): Row => ({
    what: `${of}: ${what}`,
    ours,
    theirs: '',
    ratio,
    ...(bar === undefined ? {} : { bar }),
    ...(unit === undefined ? {} : { unit }),
  })
  return [
    {
      what: `${of}: processor time for an entry removed`,
      ours: `recue ${each.toFixed(1)} us (${m.ours.removedActions} in ${m.ours.ms.toFixed(0)} ms)`,
      theirs: `plain DELETE ${floor.toFixed(1)} us`,
      ratio: each / floor,
    },
    fact('memory above that of an idle process', '', m.ours.peakBytes / 2 ** 20, 300, 'MiB'),
    fact('longest step, processor time', '', m.ours.longestMs, 20, 'ms'),
    against('a reader beside it, p99', m.beside.reads, m.idle.reads, 3),
    against('a put beside it, p99', m.beside.puts, m.idle.puts),
  ]
}

/** It starts itself again for each of its parts, so that each has a process of its own. */
if (import.meta.main) {
  const [flag, job = '', dir = '', second = ''] = process.argv.slice(2)
  if (flag !== '--job') await runAlone(collectBenchmark)
  else if (job === 'fill') await fill(dir, Number(second))
  else if (job === 'collect') await collect(dir, Number(second))
  else if (job === 'plain') plainDelete(dir, second)
  else await neighbour(dir, Number(second))
}
