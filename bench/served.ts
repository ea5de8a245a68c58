import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { installed } from './installed.ts'
import { executable, node, nodeEntry } from './place.ts'

/** A server under load: held to one core, so that what it does for a second of that core can be told. */
export interface Serving extends AsyncDisposable {
  readonly name: string
  readonly http: { readonly host: string; readonly port: number }
  /** Undefined: it has no gRPC. */
  readonly grpc: { readonly host: string; readonly port: number } | undefined
  /** Processor time so far, in microseconds, of the process that serves. */
  cpuMicros(): number
  residentBytes(): number
  /** The most memory it had in the meantime. */
  peakBytesDuring(work: () => Promise<void>): Promise<number>
}

/** The server has the first core, who asks it the second. */
export const SERVER_CORE = '0'
export const LOAD_CORE = '1'

export function pinned(core: string, argv: readonly string[]): [string, ...string[]] {
  return ['taskset', '-c', core, ...argv]
}

/** As users start it, with its own cache folder. */
export async function serveRecue(
  folder: string,
  runtime: 'executable' | 'node',
  { words = [], variables = {} }: { readonly words?: readonly string[]; readonly variables?: NodeJS.ProcessEnv } = {},
): Promise<Serving> {
  const argv = runtime === 'node' ? [node, nodeEntry] : [executable]
  const serve = [...argv, 'serve', '--http', '0', '--grpc', '0', '--json', ...words]
  const child = spawn(...split(pinned(SERVER_CORE, serve)), {
    env: { PATH: process.env.PATH, HOME: folder, RECUE_CACHE_DIR: path.join(folder, `recue-${runtime}`), ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await Promise.race([
    createInterface({ input: child.stdout })
      [Symbol.asyncIterator]()
      .next()
      .then(({ value }) => [value]),
    new Promise((_, reject) => child.once('exit', (code) => reject(new Error(`recue serve ended with ${code}`)))),
  ])) as [string]
  const { http, grpc } = JSON.parse(line) as { http: string; grpc: string }
  return serving(runtime === 'node' ? 'recue, Node' : 'recue', child, addressOf(http), addressOf(grpc))
}

/** At its defaults. Undefined: not installed. */
export async function serveBazelRemote(folder: string): Promise<Serving | undefined> {
  if (!installed('bazel-remote')) return undefined
  const [http, grpc] = [await freePort(), await freePort()]
  const flags = ['--dir', path.join(folder, 'bazel-remote'), '--max_size', '10', '--access_log_level', 'none']
  const addresses = ['--http_address', `127.0.0.1:${http}`, '--grpc_address', `127.0.0.1:${grpc}`]
  const argv = pinned(SERVER_CORE, ['bazel-remote', ...flags, ...addresses])
  const child = spawn(...split(argv), { stdio: 'ignore' })
  await answering(http)
  await answering(grpc)
  return serving('bazel-remote', child, { host: '127.0.0.1', port: http }, { host: '127.0.0.1', port: grpc })
}

/** The files of `root`, by one worker. Undefined: not installed. */
export async function serveNginx(folder: string, root: string): Promise<Serving | undefined> {
  if (!installed('nginx')) return undefined
  const port = await freePort()
  const config = path.join(folder, 'nginx.conf')
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  mkdirSync(path.join(folder, 'nginx'), { recursive: true })
  writeFileSync(
    config,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/nginx/pid; error_log ${folder}/nginx/errors;
     events {} http { access_log off; sendfile on; keepalive_requests 10000000;
     ${temp.map((kind) => `${kind}_temp_path ${folder}/nginx/${kind};`).join(' ')}
     server { listen 127.0.0.1:${port}; root ${root}; } }`,
  )
  const child = spawn(...split(pinned(SERVER_CORE, ['nginx', '-c', config])), { stdio: 'ignore' })
  await answering(port)
  return serving('nginx', child, { host: '127.0.0.1', port }, undefined)
}

/** A process that serves already. */
export function serving(name: string, child: ChildProcess, http: Serving['http'], grpc: Serving['grpc']): Serving {
  const { pid } = child
  return {
    name,
    http,
    grpc,
    cpuMicros: () => cpuMicrosOf(pid as number),
    residentBytes: () => statusBytes(pid, 'VmRSS'),
    async peakBytesDuring(work) {
      // Sets the peak to what there is now: proc(5).
      writeFileSync(`/proc/${pid}/clear_refs`, '5')
      await work()
      return statusBytes(pid, 'VmHWM')
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}

function statusBytes(pid: number | undefined, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 1024
}

/** Of all its threads: user and system time in ticks of 10 ms (proc_pid_stat(5)). */
function cpuMicrosOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

function addressOf(url: string): Serving['http'] {
  const { hostname, port } = new URL(url.replace(/^grpc/, 'http'))
  return { host: hostname, port: Number(port) }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })
}

async function answering(port: number): Promise<void> {
  for (const until = performance.now() + 20_000; performance.now() < until; ) {
    const isOpen = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
      socket.on('close', () => resolve(false))
      setTimeout(() => socket.destroy(), 50)
    })
    if (isOpen) return
  }
  throw new Error(`nothing answers at port ${port}`)
}

function split([program = '', ...args]: readonly string[]): [string, string[]] {
  return [program, args]
}
