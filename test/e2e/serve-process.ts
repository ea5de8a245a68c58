import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Runtime } from './runtimes.ts'

/** `recue serve --json` in a process of its own. Disposing of it kills it. */
export class ServeProcess implements AsyncDisposable {
  readonly child: ChildProcess
  readonly #lines: string[] = []
  readonly #errors: string[] = []
  readonly #ended: Promise<number | string>

  constructor({ argv: [program = '', ...entry] }: Runtime, cacheDir: string, argv: readonly string[]) {
    this.child = spawn(program, [...entry, 'serve', '--json', '--cache-dir', cacheDir, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#gather(this.child.stdout, this.#lines)
    this.#gather(this.child.stderr, this.#errors)
    this.#ended = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  }

  /** The first line: where it listens. Fails with what was said when there is none. */
  async addresses(): Promise<{ readonly http: string; readonly grpc: string }> {
    const ended = await this.#until(() => this.#lines.length > 0)
    if (ended) throw new Error(`It ended: ${this.#errors.join('\n')}`)
    return JSON.parse(this.#lines[0] as string) as { http: string; grpc: string }
  }

  /** A line on standard error that matches; fails where it ended without. */
  async said(text: RegExp): Promise<string> {
    const find = () => this.#errors.find((line) => text.test(line))
    await this.#until(() => find() !== undefined)
    const line = find()
    if (line === undefined) throw new Error(`It said: ${this.#errors.join('\n')}`)
    return line
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  get errors(): readonly string[] {
    return this.#errors
  }

  /** The exit code, or the signal that killed it. */
  get ended(): Promise<number | string> {
    return this.#ended
  }

  /** The processes that it has started. */
  get workers(): number[] {
    const { pid } = this.child
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return children === '' ? [] : children.split(' ').map(Number)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#ended
  }

  #gather(stream: NodeJS.ReadableStream | null, into: string[]): void {
    if (stream === null) return
    createInterface({ input: stream }).on('line', (line) => {
      into.push(line)
      this.child.emit('line')
    })
  }

  /** Whether it ended before. */
  async #until(isSo: () => boolean): Promise<boolean> {
    let hasEnded = false
    void this.#ended.then(() => {
      hasEnded = true
      this.child.emit('line')
    })
    while (!isSo() && !hasEnded) await new Promise((resolve) => this.child.once('line', resolve))
    return !isSo()
  }
}
