import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { COMPILED } from './processes.ts'

/**
 * Runs a process up to its gate (`gate.ts`), attaches strace to it there, and lets it go: so that only the calls of what
 * comes after the gate count, and each of them can be made its last.
 */
export interface Traced {
  /** Of Node. */
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** A call that changes the outside world: the `nth` of its name in its thread since the gate. */
export interface SystemCall {
  /** Node's file calls are made by the main thread, or by the one thread of its pool. */
  readonly thread: 'main' | 'pool'
  readonly name: string
  readonly nth: number
  /** As strace prints it. */
  readonly text: string
}

export interface TracedEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it said after the gate. */
  readonly lines: readonly string[]
}

/** Of these only those that are there on every architecture's Linux may be named; strace takes `?` for the others. */
const CHANGING = [
  'write pwrite64 writev pwritev pwritev2 copy_file_range sendfile fallocate truncate ftruncate fsync fdatasync',
  'open openat creat rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir',
  'chmod fchmod fchmodat utimensat futimesat fcntl ioctl mmap',
]
  .join(' ')
  .split(' ')
const TRACE = `trace=${CHANGING.map((name) => `?${name}`).join(',')}`

export function hasStrace(): boolean {
  return spawnSync('strace', ['-V']).status === 0
}

/** Runs it to its end without strace: afterwards Node has nothing left to write down for its next start. */
export async function runOnce(traced: Traced): Promise<TracedEnd> {
  await using held = await startToGate(traced)
  held.open()
  return await held.ended
}

/** The calls of a run that nobody disturbs, in their order. */
export async function countCalls(traced: Traced): Promise<{ calls: SystemCall[]; end: TracedEnd }> {
  await using held = await startToGate(traced)
  const { main, pool } = held
  const strace = await attach(['-s', '80', '-e', TRACE, '-p', `${main}`, '-p', `${pool}`], 2)
  held.open()
  const end = await held.ended
  const counts = new Map<string, number>()
  let isReading = false
  const calls = (await strace.output).split('\n').flatMap((line) => {
    const match = /^\[pid +(\d+)\] (\w+)\((.*)/.exec(line)
    if (match === null) return []
    const [, tid, name, text] = match as unknown as [string, string, string, string]
    const thread = Number(tid) === main ? ('main' as const) : ('pool' as const)
    const nth = (counts.get(`${thread} ${name}`) ?? 0) + 1
    counts.set(`${thread} ${name}`, nth)
    // A reader's lock is taken and dropped thousands of times; dropping one is no other moment than the call after it.
    const wasReading = isReading
    isReading = name === 'fcntl' && text.includes('F_RDLCK')
    const isCounted = isChange(name, text) && !(wasReading && text.includes('F_UNLCK'))
    return isCounted ? [{ thread, name, nth, text: `${name}(${text}` }] : []
  })
  return { calls, end }
}

/** Kills it as it enters that call; `signal` is null when it never came so far. */
export async function killAt(traced: Traced, call: SystemCall): Promise<TracedEnd> {
  await using held = await startToGate(traced)
  const inject = `inject=${call.name}:signal=KILL:when=${call.nth}`
  const strace = await attach(['-s', '80', '-e', `trace=${call.name}`, '-e', inject, '-p', `${held[call.thread]}`], 1)
  held.open()
  const end = await held.ended
  await strace.output
  return end
}

/** Reading, and what only the process itself knows of, leaves nothing behind. */
function isChange(name: string, text: string): boolean {
  if (name === 'open' || name === 'openat') return text.includes('O_CREAT') || text.includes('O_TRUNC')
  if (name === 'fcntl') return /F_(WRLCK|UNLCK)/.test(text)
  if (name === 'ioctl') return text.includes('FICLONE')
  if (name === 'mmap') return text.includes('MAP_SHARED') && text.includes('PROT_WRITE')
  // How the threads of a process wake each other.
  return !(name === 'write' && text.includes('"\\1\\0\\0\\0\\0\\0\\0\\0", 8)'))
}

export interface Held extends AsyncDisposable {
  readonly main: number
  readonly pool: number
  open(): void
  readonly ended: Promise<TracedEnd>
}

export async function startToGate({ args, cwd, env }: Traced): Promise<Held> {
  const child = spawn(process.execPath, args, {
    cwd,
    // One thread in the pool, so that each call is the same thread's in every run.
    env: { ...process.env, ...env, UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: COMPILED },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const atGate = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'gate') atGate.resolve()
    else lines.push(line)
  })
  const ended = once(child, 'close').then(([code, signal]) => {
    atGate.reject(new Error(`ended before its gate: ${stderr}`))
    if (signal === null && code !== 0) throw new Error(`ended with ${code}: ${stderr}`)
    return { code, signal, lines }
  })
  ended.catch(() => undefined)
  await atGate.promise
  const main = child.pid as number
  return {
    main,
    pool: poolThreadOf(main),
    open: () => void child.stdin.end('\n'),
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended.catch(() => undefined)
    },
  }
}

function poolThreadOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const pool = threads.filter((tid) => readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').startsWith('libuv-worker'))
  if (pool.length !== 1) throw new Error(`${pool.length} threads in the pool of ${pid}`)
  return Number(pool[0])
}

export async function attach(args: readonly string[], threads: number): Promise<{ output: Promise<string> }> {
  const strace: ChildProcess = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  const attached = Promise.withResolvers<void>()
  strace.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.split(' attached').length > threads) attached.resolve()
  })
  const closed = once(strace, 'close').then(() => {
    attached.reject(new Error(`strace: ${output}`))
    return output
  })
  await attached.promise
  return { output: closed }
}
