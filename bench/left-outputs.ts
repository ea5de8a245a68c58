import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, scaled } from './benchmark.ts'
import { executable, inPlace } from './place.ts'
import { serveRecue } from './served.ts'

/** A new checkout on a new machine that asks for the last of ten tasks, each of which makes 50 MB out of what the one before made. */
export const leftOutputs: Benchmark = {
  name: 'left-outputs',
  run: (options) => inPlace('left-outputs', (folder) => measure(folder, options)),
}

const TASKS = 10
const DOWNLOADS = ['all', 'toplevel', 'none'] as const

interface Measured {
  readonly ms: number
  readonly fetchedBytes: number
}

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const megabytes = scaled(50, options)
  await using server = await serveRecue(folder, 'executable')
  if (server.grpc === undefined) throw new Error('recue serves no gRPC')
  await using link = await countedLink(server.grpc)
  const work = async (name: string, download: string): Promise<Measured> => {
    const project = path.join(folder, name)
    mkdirSync(path.join(project, 'src'), { recursive: true })
    writeFileSync(path.join(project, 'src/a'), 'content')
    writeFileSync(path.join(project, 'recue.config.json'), JSON.stringify({ tasks: chain(megabytes) }))
    const before = link.fetchedBytes()
    const start = performance.now()
    await run(project, `grpc://127.0.0.1:${link.port}`, download)
    const measured = { ms: performance.now() - start, fetchedBytes: link.fetchedBytes() - before }
    rmSync(project, { recursive: true })
    return measured
  }
  await work('maker', 'all')
  const rounds: Record<(typeof DOWNLOADS)[number], Measured[]> = { all: [], toplevel: [], none: [] }
  for (let round = 0; round < scaled(5, options, 3); round++)
    for (const download of DOWNLOADS) rounds[download].push(await work('checkout', download))
  const [all, ...others] = DOWNLOADS.map((download) => ({ download, ...medians(rounds[download]) }))
  const what = `${TASKS} tasks of ${megabytes} MB each, all at the remote`
  return others.flatMap(({ download, ms, fetchedBytes }) => [
    {
      what: `${what}: time`,
      ours: `${download} ${(ms / 1000).toFixed(2)} s`,
      theirs: `all ${((all?.ms ?? 0) / 1000).toFixed(2)} s`,
      ratio: ms / (all?.ms ?? Number.NaN),
    },
    {
      what: `${what}: fetched`,
      ours: `${download} ${megabytesOf(fetchedBytes)}`,
      theirs: `all ${megabytesOf(all?.fetchedBytes ?? 0)}`,
      ratio: fetchedBytes / (all?.fetchedBytes ?? Number.NaN),
    },
  ])
}

/** Content that does not compress, and differs from task to task. */
function chain(megabytes: number): Record<string, object> {
  const tasks: Record<string, object> = {}
  for (let i = 0; i < TASKS; i++) {
    const source = i === 0 ? 'src/a' : `t${i - 1}/file`
    const seed = `$(cksum < ${source})`
    const noise = `head -c ${megabytes}000000 /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:"${i} ${seed}" 2>/dev/null`
    tasks[`t${i}`] = {
      command: `mkdir -p t${i} && ${noise} > t${i}/file`,
      ...{ dependsOn: i === 0 ? [] : [`t${i - 1}`], inputs: [i === 0 ? 'src' : `t${i - 1}/**`], outputs: [`t${i}`] },
    }
  }
  return tasks
}

function run(project: string, remote: string, download: string): Promise<void> {
  const words = ['run', '--quiet', `--remote-download=${download}`, `t${TASKS - 1}`]
  const env = {
    ...{ PATH: process.env.PATH, HOME: project, RECUE_CACHE_DIR: path.join(project, '.cache') },
    ...{ RECUE_REMOTE: remote, RECUE_REMOTE_TIMEOUT: '10s', RECUE_UPLOAD_WAIT: '10m' },
  }
  const child = spawn(executable, words, { cwd: project, env, stdio: ['ignore', 'ignore', 'inherit'] })
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`recue run ended with ${code}`))))
  })
}

/** A way to a server that counts what comes from it. */
async function countedLink(to: { readonly host: string; readonly port: number }) {
  let bytes = 0
  const relay = net.createServer((client) => {
    const server = net.connect(to)
    server.on('data', (chunk) => {
      bytes += chunk.length
    })
    for (const socket of [client, server]) socket.on('error', () => void [client, server].map((one) => one.destroy()))
    client.pipe(server).pipe(client)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  return {
    port: (relay.address() as net.AddressInfo).port,
    fetchedBytes: () => bytes,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => relay.close(resolve))
    },
  }
}

function medians(measured: readonly Measured[]): Measured {
  const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number
  return { ms: middle(measured.map(({ ms }) => ms)), fetchedBytes: middle(measured.map((one) => one.fetchedBytes)) }
}

function megabytesOf(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
