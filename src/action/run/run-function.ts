import { basename, dirname } from 'node:path'
import { CacheError } from '../../errors.ts'
import { canonicalJson } from '../canonical-json.ts'
import { describeAction } from '../describe-action.ts'
import type { ActionRequest } from '../request.ts'
import type { OutputSink, RunOptions, RunOutcome } from '../run-outcome.ts'
import { runKeyed } from './run-action.ts'
import { ActiveRun, type Engine } from './run-action-active.ts'
import type { CommandEnd } from './run-action-command.ts'
import type { StreamCapture } from './stream-capture.ts'

/** Work that a function of this process does. */
export interface FunctionWork<T> {
  /** With `version` and `args` it stands for the function in the key, which cannot see what the function does. */
  readonly name: string
  /** To be changed whenever the function is. */
  readonly version?: string
  /** What the function depends on beside its input files: plain, serialisable values. */
  readonly args?: unknown
  readonly root?: string
  readonly cwd?: string
  /** Files, folders and globs relative to `cwd`; none unless said. */
  readonly inputs?: readonly string[]
  /** What the function writes: files, folders and globs relative to `cwd`; none unless said. */
  readonly outputs?: readonly string[]
  /** Variables that the function depends on. */
  readonly env?: readonly string[]
  /** A result older than this many milliseconds is as none. */
  readonly maxAgeMs?: number
  /** Does the work; what it returns comes back as JSON gives it back. What it throws is passed on and not kept. */
  readonly fn: () => Promise<T> | T
}

export interface FunctionOutcome<T> {
  readonly value: T
  readonly outcome: RunOutcome
}

/** Does the work, or gives back what it gave before, with its output files. Function and command differ in nothing else. */
export async function runFunction<T>(
  work: FunctionWork<T>,
  engine: Engine,
  options: RunOptions,
): Promise<FunctionOutcome<T>> {
  let text: string | undefined
  const execute = async (_run: ActiveRun, _what: unknown, streams: StreamCapture | undefined): Promise<CommandEnd> => {
    const startedMs = Date.now()
    const start = performance.now()
    text = serialised(await work.fn(), work.name)
    streams?.add('stdout', Buffer.from(text))
    return { ...ENDED, startedMs, durationMs: performance.now() - start }
  }
  const replayed = collector()
  const run = new ActiveRun(
    functionRequest(work),
    engine,
    { ...options, replayOutput: true, stripForcedColours: false, sink: replayed.sink },
    { execute, answersForStrays: false, maxAgeMs: work.maxAgeMs },
  )
  const outcome = await runKeyed(run)
  const kept = text ?? replayed.text()
  return { value: (kept === '' ? undefined : JSON.parse(kept)) as T, outcome }
}

const ENDED = {
  exitCode: 0,
  endedBy: 'exit',
  wasInterrupted: false,
  leftBehind: false,
  isUnheard: false,
  colourForced: false,
  isReaderGone: false,
} as const

/** A request whose program is this process's own, by content, wherever it lies. */
export function functionRequest(work: FunctionWork<unknown>): ActionRequest {
  const { name, version = '', args = null, inputs = [], outputs = [], env = [], root, cwd } = work
  return describeAction({
    command: [basename(process.execPath), 'recue:function', name, version, canonicalJson(args)],
    inputs,
    outputs,
    env,
    implicitInputs: false,
    environment: { ...process.env, PATH: dirname(process.execPath) },
    ...(root !== undefined && { root }),
    ...(cwd !== undefined && { cwd }),
  })
}

/** Nothing is no text at all, since JSON has no word for it. */
function serialised(value: unknown, name: string): string {
  try {
    return JSON.stringify(value) ?? ''
  } catch (cause) {
    throw new CacheError('usage', `What ${name} returned cannot be kept: it is not JSON.`, { cause })
  }
}

function collector(): { sink: OutputSink; text(): string } {
  const chunks: Uint8Array[] = []
  return {
    sink: {
      stdout(chunk) {
        chunks.push(chunk)
      },
      stderr() {},
    },
    text: () => Buffer.concat(chunks).toString('utf8'),
  }
}
