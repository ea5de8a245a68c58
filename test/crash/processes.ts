import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))

export interface Worker {
  readonly child: ChildProcess
  /** What it said until now. */
  readonly lines: string[]
  /** When it said this line, or a line that begins so; rejects when it ends before. */
  said(line: string): Promise<void>
  /** Code and signal, when it has ended and all it said has arrived. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>
}

/** The runtime that the executable is made of runs the same sources. */
export type Runtime = 'node' | 'bun'

const PROGRAMS: Readonly<Record<Runtime, string>> = {
  node: process.execPath,
  bun: fileURLToPath(new URL('../../node_modules/.bin/bun', import.meta.url)),
}

/** Where Node keeps what it compiled: a start costs a third with it. */
export const COMPILED: string = join(tmpdir(), 'recue-compiled')

/** Starts `worker.ts`, or another program, with these arguments. */
export function startWorker(args: readonly string[], runtime: Runtime = 'node', program: string = WORKER): Worker {
  const child = spawn(PROGRAMS[runtime], [program, ...args], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const waiting: { line: string; resolve: () => void; reject: (error: Error) => void }[] = []
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line)
    for (const one of waiting) if (line.startsWith(one.line)) one.resolve()
  })
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>((resolve) => {
    child.on('close', (code, signal) => {
      for (const one of waiting) one.reject(new Error(`ended (${code ?? signal}) before "${one.line}": ${stderr}`))
      resolve({ code, signal, stderr })
    })
  })
  const said = (line: string) =>
    new Promise<void>((resolve, reject) => {
      if (lines.some((before) => before.startsWith(line))) resolve()
      else waiting.push({ line, resolve, reject })
    })
  return { child, lines, said, ended }
}
