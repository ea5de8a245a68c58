import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { openLink } from './link.ts'
import type { LinkTask, LinkTimes } from './link-child.ts'
import type { Fill, Filled } from './link-fill.ts'
import { executable, inPlace, node } from './place.ts'

/**
 * A remote end beside plain HTTP/2 on the same link: the round trips of a hit, many small blobs, and a large one on no link at
 * all. Both make a new connection each time, unless said.
 */
export const remoteLink: Benchmark = {
  name: 'link',
  run: (options) =>
    inPlace('link', async (folder) => [...(await overLink(folder, options)), ...(await overLoopback(folder, options))]),
}

const RTT_MS = 20
const ROUNDS = 7
const SMALL_BYTES = 10 << 10
/** Too large to come within a result. */
const NOT_INLINED_BYTES = 1_150_000
const LARGE_BYTES = 1 << 30
const LARGE_ROUNDS = 5
/** What a client takes besides is the processor's time, which a hundredth of a second more allows for. */
const BARS = { oneTrip: 1.3, twoTrips: 2.3, blobs: 1.3, large: 1 / 0.7 }

type Asking = Omit<LinkTask, 'remotePort' | 'plainPort'>

async function overLink(folder: string, options: BenchOptions): Promise<Row[]> {
  await using link = await openLink(RTT_MS)
  const { within } = link
  await using server = await serveRecue(within, path.join(folder, 'linked'))
  const count = scaled(1000, options, 20)
  const rounds = scaled(ROUNDS, options, 3)
  const fill = (what: Omit<Fill, 'port' | 'like'>) =>
    answerOf<Filled>(within, 'link-fill.ts', { port: server.port, like: 'program', ...what })
  const many = fill({ count, bytes: SMALL_BYTES })
  const small = fill({ count: 3, bytes: 4 << 10, action: 'small' })
  const large = fill({ count: 1, bytes: NOT_INLINED_BYTES, action: 'large' })
  const remotePort = await link.reach(server.port)
  const against = async (plainBytes: number, asking: Asking): Promise<LinkTimes> => {
    await using plain = await servePlain(within, plainBytes)
    return answerOf(within, 'link-child.ts', { ...asking, remotePort, plainPort: await link.reach(plain.port) })
  }
  const row = async (what: string, bar: number, plainBytes: number, asking: Asking) => {
    const { ours, plain } = await against(plainBytes, asking)
    return rowOf(`${what}, ${RTT_MS} ms there and back (${link.kind})`, ours, plain, bar)
  }
  return [
    await row('a hit with small outputs, against a request of a byte', BARS.oneTrip, 1, {
      ...{ what: 'hit', isWarm: true, rounds, ...small },
    }),
    await row('a hit with an output of 1.1 MiB, against the same', BARS.twoTrips, 1, {
      ...{ what: 'hit', isWarm: true, rounds, ...large },
    }),
    await row('a hit with small outputs, both on new connections', BARS.oneTrip, 1, { what: 'hit', rounds, ...small }),
    await row(`${count.toLocaleString('en')} blobs of 10 KiB, against one body`, BARS.blobs, count * SMALL_BYTES, {
      ...{ what: 'blobs', rounds, ...many },
    }),
  ]
}

async function overLoopback(folder: string, options: BenchOptions): Promise<Row[]> {
  await using server = await serveRecue([], path.join(folder, 'loopback'))
  const bytes = scaled(LARGE_BYTES, options, 64 << 20)
  const rounds = scaled(LARGE_ROUNDS, options, 2)
  await using plain = await servePlain([], bytes)
  const rows: Row[] = []
  for (const like of ['program', 'noise'] as const) {
    const filled = answerOf<Filled>([], 'link-fill.ts', { port: server.port, count: 1, bytes, like } satisfies Fill)
    for (const what of ['large', 'large into a store'] as const) {
      const task: LinkTask = { what, rounds, remotePort: server.port, plainPort: plain.port, ...filled }
      const { ours, plain: theirs } = answerOf<LinkTimes>([], 'link-child.ts', task)
      const kind = like === 'program' ? 'of a program' : 'that do not shrink'
      const how = what === 'large' ? 'read' : 'brought into a store'
      const text = `${(bytes >> 20).toLocaleString('en')} MiB ${kind}, ${how}, over loopback, against one body`
      rows.push(rowOf(text, ours, theirs, BARS.large))
    }
  }
  return rows
}

interface Serving extends AsyncDisposable {
  readonly port: number
}

async function serveRecue(within: readonly string[], cacheDir: string): Promise<Serving> {
  const flags = ['serve', '--http', '0', '--grpc', '0', '--json', '--cache-dir', cacheDir]
  return serving(
    [...within, executable, ...flags],
    (line) => new URL(JSON.parse(line).grpc.replace('grpc:', 'http:')).port,
  )
}

function servePlain(within: readonly string[], bytes: number): Promise<Serving> {
  return serving([...within, node, path.join(import.meta.dirname, 'plain-http2.ts'), String(bytes)], (line) => line)
}

/** Of what the first line says. */
async function serving([program = '', ...args]: readonly string[], portIn: (line: string) => string): Promise<Serving> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  return {
    port: Number(portIn(String(value))),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

function answerOf<T>(within: readonly string[], script: string, task: Fill | LinkTask): T {
  const [program = '', ...args] = [...within, node, path.join(import.meta.dirname, script), JSON.stringify(task)]
  const said = execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  })
  return JSON.parse(said) as T
}

if (import.meta.main) await runAlone(remoteLink)
