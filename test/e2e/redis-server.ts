import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort } from './free-port.ts'

export const REDIS_SKIPPED: string | false =
  spawnSync('redis-server', ['--version']).error !== undefined && 'redis-server is not installed'

/** A redis-server of its own on loopback, which keeps nothing on disk. Disposing of it kills it. */
export class RedisProcess implements AsyncDisposable {
  readonly port: number
  readonly folder: string
  #child: ChildProcess | undefined

  static async start(...settings: string[]): Promise<RedisProcess> {
    const server = new RedisProcess(await freePort())
    await server.start(...settings)
    return server
  }

  constructor(port: number) {
    this.port = port
    this.folder = mkdtempSync(path.join(tmpdir(), 'recue-redis-'))
  }

  get address(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async start(...settings: string[]): Promise<void> {
    const flags = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.folder, '--save', '']
    this.#child = spawn('redis-server', [...flags, ...settings], { stdio: 'ignore' })
    const ended = once(this.#child, 'exit')
    for (;;) {
      const socket = connect(this.port, '127.0.0.1')
      const isUp = await new Promise((resolve) =>
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
      )
      socket.destroy()
      if (isUp) return
      const moment = new Promise((resolve) => setTimeout(resolve, 10))
      if ((await Promise.race([moment, ended])) !== undefined) throw new Error('redis-server ended at once')
    }
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Stands still until it is let go. */
  hold(): void {
    this.#child?.kill('SIGSTOP')
  }

  letGo(): void {
    this.#child?.kill('SIGCONT')
  }

  /** What `redis-cli` says to a command. */
  say(...command: string[]): string {
    return spawnSync('redis-cli', ['-p', `${this.port}`, ...command], { encoding: 'utf8' }).stdout.trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
