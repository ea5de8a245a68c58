import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { certificateFor } from '../../src/server/listen/certificate.fixture.ts'
import type { Runtime } from '../e2e/runtimes.ts'
import type { Door } from './door.ts'

export const WRITE_TOKEN = 'a-token-that-writes-0123'
export const READ_TOKEN = 'a-token-that-reads-01234'

/** One process, and by which doors HTTP and gRPC come in. */
export interface Server {
  readonly name: string
  readonly http: Door
  readonly grpc: Door
  /** To be sent along where the server asks for tokens. */
  readonly headers: Readonly<Record<string, string>>
  readonly process: ServerProcess
}

/** Three servers over one store, with all kinds of listeners, in a folder in which nothing else may come to be. */
export class Servers implements AsyncDisposable {
  readonly all: readonly Server[]
  readonly runtime: Runtime
  /** Their cache folder. */
  readonly cacheDir: string
  /** Where names that lead out of the store would end. */
  readonly outside: string
  readonly #folder: string

  private constructor(runtime: Runtime, folder: string, all: readonly Server[]) {
    this.runtime = runtime
    this.#folder = folder
    this.all = all
    this.cacheDir = path.join(folder, 'cache')
    this.outside = path.join(folder, 'outside')
  }

  static async start(runtime: Runtime): Promise<Servers> {
    const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'recue-fuzz-')))
    for (const name of ['home', 'cwd', 'tmp', 'outside', 'settings']) mkdirSync(path.join(folder, name))
    const setting = (name: string, text: string) => {
      const file = path.join(folder, 'settings', name)
      writeFileSync(file, text)
      return file
    }
    const certificate = certificateFor('fuzz')
    const socket = path.join(folder, 'settings', 'socket')
    const tokens = setting('tokens', `write ${WRITE_TOKEN}\nread ${READ_TOKEN}\n`)
    const keys = ['--tls-cert', setting('cert', certificate.cert), '--tls-key', setting('key', certificate.key)]
    const ways: readonly [name: string, argv: readonly string[], headers: Record<string, string>, ca?: string][] = [
      ['one port', ['--http', '0'], {}],
      [
        'a socket and a port',
        ['--http', `unix:${socket}`, '--grpc', '0', '--tokens', tokens],
        { authorization: `Bearer ${WRITE_TOKEN}` },
      ],
      ['TLS', ['--http', '0', ...keys], {}, certificate.cert],
    ]
    const all: Server[] = []
    for (const [name, argv, headers, ca] of ways) {
      const process = new ServerProcess(runtime, folder, argv)
      const { http, grpc } = await process.addresses()
      all.push({ name, headers, process, http: doorTo(name, http, ca), grpc: doorTo(name, grpc, ca) })
    }
    return new Servers(runtime, folder, all)
  }

  of(index: number): Server {
    return this.all[index % this.all.length] as Server
  }

  /** All that is there beside the store, links and empty folders included; but for what comes and goes with a process. */
  files(): string[] {
    return readdirSync(this.#folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name !== 'cache' && !name.startsWith(`cache${path.sep}`))
      .filter((name) => name !== path.join('settings', 'socket') && !name.includes('node-compile-cache'))
      .sort()
  }

  /** What lies in the store by other names than the store's own. */
  strangers(): string[] {
    return readdirSync(this.cacheDir, { recursive: true, encoding: 'utf8' })
      .filter((name) => !STORES_OWN.test(name))
      .sort()
  }

  /** Ended as a service is; says with what code each did. */
  async end(): Promise<(number | string)[]> {
    return Promise.all(this.all.map(({ process }) => process.end()))
  }

  /** Runs another command on the store. */
  async command(...argv: string[]): Promise<{ readonly code: number | null; readonly said: string }> {
    const [program = '', ...entry] = this.runtime.argv
    const child = spawn(program, [...entry, ...argv, '--cache-dir', this.cacheDir], {
      env: environment(this.#folder),
      cwd: path.join(this.#folder, 'cwd'),
    })
    let said = ''
    child.stdout.on('data', (text: Buffer) => (said += text))
    child.stderr.on('data', (text: Buffer) => (said += text))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, said }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.all) process.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** As the design has it: the folders, shards of blobs, and files in them by names that the store chose. */
const STORES_OWN =
  /^(FORMAT|CACHEDIR\.TAG|index\.db(-wal|-shm)?|[a-z-]+\.db(-wal|-shm)?|[\w-]+\.(lock|json)|(journal|blobs|keys|tmp|trash|locks|leases|intents|lent|damaged|ledger)(\/[\w.-]+(\/[\w.-]+)?)?)$/

function environment(folder: string): Record<string, string | undefined> {
  return { PATH: process.env.PATH, HOME: path.join(folder, 'home'), TMPDIR: path.join(folder, 'tmp') }
}

function doorTo(name: string, url: string, ca: string | undefined): Door {
  const trusted = ca === undefined ? {} : { ca }
  if (url.startsWith('unix:')) return { name, target: { path: url.slice('unix:'.length) }, ...trusted }
  return { name, target: { port: Number(url.slice(url.lastIndexOf(':') + 1)) }, ...trusted }
}

export interface Held {
  /** Open connections. */
  readonly sockets: number
  /** Other open files, by where they lie. */
  readonly files: readonly string[]
  readonly residentMiB: number
  /** The most that it ever was. */
  readonly peakMiB: number
}

export class ServerProcess {
  /** What it said on standard error. */
  readonly errors: string[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<number | string>
  readonly #first: Promise<string>
  #hasEnded = false

  constructor({ argv: [program = '', ...entry] }: Runtime, folder: string, argv: readonly string[]) {
    const words = [...entry, 'serve', '--json', '--cache-dir', path.join(folder, 'cache'), ...argv]
    this.#child = spawn(program, words, {
      env: environment(folder),
      cwd: path.join(folder, 'cwd'),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#hasEnded = true
      return (code ?? signal) as number | string
    })
    const first = Promise.withResolvers<string>()
    this.#first = first.promise
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).once('line', first.resolve)
    createInterface({ input: this.#child.stderr as NodeJS.ReadableStream }).on('line', (line) => this.errors.push(line))
    void this.#ended.then(() => first.reject(new Error(`It ended: ${this.errors.join('\n')}`)))
    this.#first.catch(() => undefined)
  }

  async addresses(): Promise<{ readonly http: string; readonly grpc: string }> {
    return JSON.parse(await this.#first) as { http: string; grpc: string }
  }

  get isAlive(): boolean {
    return !this.#hasEnded
  }

  /** Undefined where a system does not tell. */
  held(): Held | undefined {
    const { pid } = this.#child
    if (!existsSync(`/proc/${pid}/fd`)) return undefined
    const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
      } catch {
        return []
      }
    })
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const mebibytes = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024)
    return {
      sockets: links.filter((link) => link.startsWith('socket:')).length,
      files: links.filter((link) => link.startsWith('/')).sort(),
      residentMiB: mebibytes('VmRSS'),
      peakMiB: mebibytes('VmHWM'),
    }
  }

  /** What it holds once nobody is connected any more: as soon as it is no more than `sockets`, or after a while whatever it is. */
  async atRest(sockets: number): Promise<Held | undefined> {
    for (let i = 0; ; i++) {
      const held = this.held()
      if (held === undefined || held.sockets <= sockets || i === 300) return held
      await pause(100)
    }
  }

  end(): Promise<number | string> {
    this.#child.kill('SIGTERM')
    return this.#ended
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
