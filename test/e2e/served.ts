import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'
import type { Runtime } from './runtimes.ts'

export const WRITE_TOKEN = 'a-token-that-writes-0123'
export const READ_TOKEN = 'a-token-that-reads-01234'

export interface Served extends AsyncDisposable {
  readonly pid: number
  readonly url: string
  /** The access log so far. */
  readonly log: LogLine[]
}

export interface LogLine {
  readonly protocol: string
  readonly method: string
  readonly path: string
  readonly status: number
}

/** `recue serve` on a port of its own choice. To dispose of it is to end it by SIGTERM, where it was not killed. */
export async function serveStore(runtime: Runtime, cacheDir: string): Promise<Served> {
  const [program = '', ...before] = runtime.argv
  const tokens = `${cacheDir}.tokens`
  writeFileSync(tokens, `write ${WRITE_TOKEN}\nread ${READ_TOKEN}\n`)
  const words = [...before, 'serve', '--http', '0', '--json', '--access-log', '--tokens', tokens]
  const env = { PATH: process.env.PATH, HOME: path.dirname(cacheDir), RECUE_CACHE_DIR: cacheDir }
  const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code)),
  )
  const log: LogLine[] = []
  const first = Promise.withResolvers<string>()
  createInterface({ input: child.stdout })
    .on('line', (line) => {
      const said = JSON.parse(line) as LogLine & { http?: string }
      if (said.http === undefined) log.push(said)
      else first.resolve(said.http)
    })
    .once('close', () => first.reject(new Error('recue serve did not start')))
  return {
    pid: child.pid ?? 0,
    url: await first.promise,
    log,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      expect([0, 'SIGKILL']).toContain(await exited)
    },
  }
}

/** A line of shell that kills the server and goes on when nothing answers any more. */
export function killing({ pid }: Served): string {
  return `kill -9 ${pid}; while kill -0 ${pid} 2>/dev/null; do :; done`
}
