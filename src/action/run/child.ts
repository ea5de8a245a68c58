import type { ChildProcess, StdioOptions } from 'node:child_process'
import type { Readable } from 'node:stream'
import { CacheError, isCacheError, systemCode } from '../../errors.ts'
import { type Deliver, type OutputStreams, pumpOutput } from './child-output.ts'
import { openPipes } from './child-pipes.ts'
import { hearSignals } from './child-signals.ts'
import { openStdinFile } from './child-stdin.ts'
import { endTree } from './child-tree.ts'

/** What a command's exit code is when `--timeout` ended it; as timeout(1) has it. */
export const TIMED_OUT_EXIT = 124
const TERMINATE_GRACE_MS = 5_000
/** A timer of more milliseconds than a signed 32-bit number holds would go off at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1
const NOTHING_LEFT = { leftBehind: false } as const

export interface ChildRequest {
  /** Absolute path of the program. */
  readonly program: string
  /** The command as it was given; the child sees its first word as its name. */
  readonly argv: readonly string[]
  /** Absolute. */
  readonly cwd: string
  /** The whole environment of the child. */
  readonly variables: Readonly<Record<string, string>>
  /** Undefined: standard input is empty. */
  readonly stdin?: Uint8Array | undefined
  /** Give the child this process's own streams; `onOutput` hears nothing. */
  readonly interactive?: boolean
  readonly timeoutMs?: number | undefined
  /** From SIGTERM to SIGKILL, for those that do not end. */
  readonly graceMs?: number
  /** Take SIGINT, SIGTERM and SIGHUP of this process while the child runs: wait for it instead of dying at once. */
  readonly hostSignals?: boolean
  /** Ends the child and all it started; the run then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /**
   * Each chunk as it is received; a promise holds both streams, and so in time the child. It must not reject. After
   * `gone` the child's stream is closed: SIGPIPE ends it, or where that is ignored its next write fails.
   */
  readonly onOutput: Deliver
}

export interface ChildEnd {
  /** The command's own; 128+n when signal n ended it; {@link TIMED_OUT_EXIT}. */
  readonly exitCode: number
  readonly endedBy: 'exit' | 'signal' | 'timeout'
  /** This process was told to end while the child ran, whatever the child made of it. */
  readonly wasInterrupted: boolean
  /** A process that the command left behind still holds its output: what comes from it is not waited for. */
  readonly leftBehind: boolean
  /** For want of file handles it had this process's own streams: `onOutput` heard nothing. */
  readonly isUnheard: boolean
  readonly startedMs: number
  readonly durationMs: number
}

/**
 * Runs a command to its end. Throws `command.not-found` and `command.not-executable` when it cannot be started.
 * All output has been handed over when it returns.
 */
export async function runChild(request: ChildRequest): Promise<ChildEnd> {
  request.signal?.throwIfAborted()
  const startedMs = Date.now()
  const start = performance.now()
  const over = new AbortController()
  // Before the child is there, or a signal in between would leave it without its parent.
  using signals = request.hostSignals ? hearSignals() : undefined
  const { child, streams } = await spawned(request)
  try {
    signals?.passTo((name) => child.kill(name))
    const exited = exitOf(child)
    const pumped = streams === undefined ? NOTHING_LEFT : pumpOutput(streams, exited, request.onOutput)
    const terminated = terminateOn(child, request, over.signal)
    feed(child, request.stdin)
    const { code, signal } = await exited
    const { leftBehind } = await pumped
    over.abort()
    const why = await terminated
    if (why === 'abort') throw request.signal?.reason
    return {
      exitCode: why === 'timeout' ? TIMED_OUT_EXIT : (code ?? 128 + signalNumber(signal)),
      endedBy: why ?? (code === null ? 'signal' : 'exit'),
      wasInterrupted: signals?.heard() ?? false,
      leftBehind,
      isUnheard: streams === undefined && request.interactive !== true,
      startedMs,
      durationMs: performance.now() - start,
    }
  } finally {
    over.abort()
  }
}

interface Spawned {
  readonly child: ChildProcess
  /** Undefined: it has this process's own. */
  readonly streams: OutputStreams | undefined
}

async function spawned(request: ChildRequest): Promise<Spawned> {
  if (request.interactive) return { child: await spawn(request, 'inherit'), streams: undefined }
  using stdinFile = request.stdin === undefined ? undefined : openStdinFile(request.stdin)
  const stdin: Stdin = request.stdin === undefined ? 'ignore' : (stdinFile?.file ?? 'pipe')
  try {
    const inPipes = await spawnedIntoPipes(request, stdin)
    if (inPipes !== undefined) return inPipes
    const child = await spawn(request, [stdin, 'pipe', 'pipe'])
    return { child, streams: { stdout: child.stdout as Readable, stderr: child.stderr as Readable } }
  } catch (error) {
    if (!isCacheError(error) || error.code !== 'command.no-handles' || request.stdin !== undefined) throw error
  }
  return { child: await spawn(request, ['ignore', 'inherit', 'inherit']), streams: undefined }
}

async function spawnedIntoPipes(request: ChildRequest, stdin: Stdin): Promise<Spawned | undefined> {
  using pipes = await openPipes()
  if (pipes === undefined) return undefined
  const { streams, childEnds } = pipes
  try {
    return { child: await spawn(request, [stdin, ...childEnds]), streams }
  } catch (error) {
    for (const stream of Object.values(streams)) stream.destroy()
    throw error
  }
}

type Stdin = 'ignore' | 'pipe' | number

async function spawn(request: ChildRequest, stdio: StdioOptions): Promise<ChildProcess> {
  const [name = '', ...rest] = request.argv
  // Loaded only here: a hit starts no process.
  const childProcess = process.getBuiltinModule('node:child_process')
  try {
    const child = childProcess.spawn(request.program, rest, {
      cwd: request.cwd,
      env: { ...request.variables },
      argv0: name,
      stdio,
      windowsHide: true,
    })
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    return child
  } catch (error) {
    throw notStarted(name, request.program, error)
  }
}

function notStarted(name: string, program: string, cause: unknown): unknown {
  const context = { program }
  switch (systemCode(cause)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new CacheError('command.not-found', `${name}: command not found.`, {
        hint: 'A script whose interpreter (its first line) is missing looks the same.',
        cause,
        context,
      })
    case 'EMFILE':
    case 'ENFILE':
      return new CacheError('command.no-handles', `${name}: there are no file handles left to start it with.`, {
        hint: 'Raise the limit of open files: ulimit -n 1024.',
        cause,
        context,
      })
    case 'EACCES':
    case 'EPERM':
    case 'ENOEXEC':
    case 'EISDIR':
      return new CacheError('command.not-executable', `${name}: cannot be executed.`, {
        hint: `Is ${program} a program for this machine, with its executable bit set?`,
        cause,
        context,
      })
    case 'E2BIG':
      return new CacheError('command.not-executable', `${name}: the arguments and the environment are too long.`, {
        cause,
        context,
      })
    default:
      return cause
  }
}

function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', reject)
  })
}

function feed(child: ChildProcess, stdin: Uint8Array | undefined): void {
  if (stdin === undefined || child.stdin === null) return
  // A command that does not read its input closes it early; that is no fault of anyone's.
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
}

/** Says why the child was ended, or undefined when it ended by itself before `over`. */
function terminateOn(
  child: ChildProcess,
  { timeoutMs, signal, graceMs = TERMINATE_GRACE_MS }: ChildRequest,
  over: AbortSignal,
): Promise<'timeout' | 'abort' | undefined> {
  return new Promise((resolve) => {
    const end = async (why: 'timeout' | 'abort') => {
      // A child that has ended cannot be late, and its number may be another's by now.
      const hasEnded = child.exitCode !== null || child.signalCode !== null
      if (why === 'timeout' && hasEnded) return
      disarm()
      if (child.pid !== undefined && !hasEnded) await endTree(child.pid, graceMs)
      resolve(why)
    }
    const onAbort = () => void end('abort')
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(() => void end('timeout'), Math.min(timeoutMs, LONGEST_TIMER_MS))
    const onOver = () => {
      disarm()
      resolve(undefined)
    }
    const disarm = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      over.removeEventListener('abort', onOver)
    }
    signal?.addEventListener('abort', onAbort)
    over.addEventListener('abort', onOver)
    if (signal?.aborted) onAbort()
  })
}

function signalNumber(name: NodeJS.Signals | null): number {
  return name === null ? 0 : process.getBuiltinModule('node:os').constants.signals[name]
}
