import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { bun, node } from './place.ts'

/** Both run the sources as they are. */
export const runtimes = [
  { name: 'Node', argv: [node] },
  { name: 'Bun', argv: [bun, 'run'] },
] as const

export type Runtime = (typeof runtimes)[number]

const here = path.dirname(fileURLToPath(import.meta.url))

/** Runs a script of this folder to its end and gives the JSON that it printed last. */
export function answerOf<T>(runtime: Runtime, script: string, args: readonly string[]): T {
  const [program, ...before] = runtime.argv
  const child = spawnSync(program, [...before, path.join(here, script), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  })
  if (child.status !== 0) throw new Error(`${script} on ${runtime.name} ended with ${child.status}: ${child.stderr}`)
  return JSON.parse(child.stdout.trim().split('\n').at(-1) ?? '') as T
}

/** Processes of one script that work at the same time, when they are all ready; see `serveRounds`. */
export class Crew implements Disposable {
  readonly #children: readonly ChildProcess[]

  constructor(script: string, argsOfEach: readonly (readonly string[])[]) {
    this.#children = argsOfEach.map((args) =>
      spawn(node, [path.join(here, script), ...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
    )
  }

  /** Sends all of them the word, and gives their answers when the last has come. */
  async ask<T>(word: string): Promise<T[]> {
    const answers = this.#children.map((child) => answerTo(child))
    for (const child of this.#children) child.send(word)
    return (await Promise.all(answers)) as T[]
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

function answerTo(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error('a process of the crew ended'))
    child.once('exit', ended)
    child.once('message', (answer) => {
      child.off('exit', ended)
      resolve(answer)
    })
  })
}

/** The other side of {@link Crew}: what to do for each word. */
export function serveRounds(work: (word: string) => Promise<object>): void {
  process.on('message', (word) => {
    work(String(word)).then(
      (answer) => process.send?.(answer),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
        process.exit(1)
      },
    )
  })
}
