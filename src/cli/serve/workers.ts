import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Listening, Order } from './worker-messages.ts'
import { WORKER_VARIABLE } from './worker-messages.ts'

export interface WorkersOptions {
  readonly count: number
  /** How one is started; with the addresses that the first has found, or as they were asked for. */
  readonly commandLine: (found: Listening | undefined) => readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What each may take to end. */
  readonly graceMs: number
  /** Told once, when the first listens. */
  readonly onListening: (listening: Listening) => void
  /** A line for whoever runs the server. */
  readonly say: (text: string) => void
  /** How long to wait before one is started again that lived too short; twice as long each time. */
  readonly pauseMs?: number
}

const PAUSE_MS = 200
const LONGEST_PAUSE_MS = 30_000
/** Who lived that long did not end because of how it was started. */
const LONG_LIFE_MS = 60_000

/**
 * Runs several processes on one store and the same addresses until `signal` is aborted: one that ends is started again.
 * The answer is the exit code: that of the first worker, where it could not begin to serve.
 */
export async function runWorkers(options: WorkersOptions, signal: AbortSignal): Promise<number> {
  const workers = new Workers(options)
  const code = await workers.start(signal)
  if (code !== undefined) return code
  await workers.end()
  return 0
}

class Workers {
  readonly #options: WorkersOptions
  readonly #live = new Set<ChildProcess>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #found: Listening | undefined
  #isEnding = false

  constructor(options: WorkersOptions) {
    this.#options = options
  }

  /** Done when the end is asked for; with a code, when there was no beginning. */
  async start(signal: AbortSignal): Promise<number | undefined> {
    const first = this.#spawn()
    const [found, code] = await Promise.race([
      once(first, 'message').then(([message]) => [message as Listening] as const),
      once(first, 'exit').then(([exit]) => [undefined, Number(exit ?? 1)] as const),
      aborted(signal).then(() => [undefined, undefined] as const),
    ])
    if (found === undefined) return code
    this.#found = found
    this.#options.onListening(found)
    this.#watch(first, 1, performance.now(), 0)
    order(first, 'go')
    for (let number = 2; number <= this.#options.count; number++) this.#startAgain(number, 0)
    await aborted(signal)
    return undefined
  }

  async end(): Promise<void> {
    this.#isEnding = true
    for (const timer of this.#timers) clearTimeout(timer)
    const ends = [...this.#live].map((worker) => once(worker, 'exit'))
    for (const worker of this.#live) order(worker, 'end')
    // They keep the time themselves; one that hangs does not.
    const timer = setTimeout(() => this.#kill(), this.#options.graceMs * 1.5)
    await Promise.all(ends)
    clearTimeout(timer)
  }

  #kill(): void {
    for (const worker of this.#live) worker.kill('SIGKILL')
  }

  #spawn(): ChildProcess {
    const [program, ...args] = this.#options.commandLine(this.#found) as [string, ...string[]]
    const env = { ...this.#options.environment, [WORKER_VARIABLE]: '1' }
    const worker = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    worker.on('error', () => undefined)
    this.#live.add(worker)
    worker.once('exit', () => this.#live.delete(worker))
    return worker
  }

  #startAgain(number: number, failures: number): void {
    const worker = this.#spawn()
    order(worker, 'go')
    this.#watch(worker, number, performance.now(), failures)
  }

  #watch(worker: ChildProcess, number: number, startedMs: number, failuresBefore: number): void {
    worker.once('exit', (code, killedBy) => {
      if (this.#isEnding) return
      const failures = performance.now() - startedMs > LONG_LIFE_MS ? 0 : failuresBefore
      const pauseMs = Math.min((this.#options.pauseMs ?? PAUSE_MS) * 2 ** failures, LONGEST_PAUSE_MS)
      this.#options.say(
        `worker ${number} ended (${killedBy ?? `exit ${code}`}); another is started in ${pauseMs / 1000} s`,
      )
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        this.#startAgain(number, failures + 1)
      }, pauseMs)
      this.#timers.add(timer)
    })
  }
}

/** To one that has just ended nothing can be said, and need not be. */
function order(worker: ChildProcess, what: Order): void {
  if (worker.connected) worker.send(what, () => undefined)
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
