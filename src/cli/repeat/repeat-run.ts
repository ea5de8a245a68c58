import { closeSync, writeSync } from 'node:fs'
import type { StreamName } from '../../action/run/stream-order.ts'
import { READER_GONE_EXIT } from '../../action/run/stream-sink.ts'
import { encodeFrame } from '../../observe/frame.ts'
import { openLedgerFile } from '../../observe/ledger-files.ts'
import { defaultCacheDir } from '../../store/local/cache-dir.ts'
import { reportFailure } from '../failure.ts'
import { openOutput, writeAll } from '../output.ts'
import { outcomeLine } from '../run-line.ts'
import { terminalOf } from '../terminal.ts'
import { standingRepeat } from './repeat-check.ts'
import type { RepeatFacts, RepeatSaid } from './repeat-record.ts'

/**
 * The exit code of a `recue run` that was a hit when it was last asked for, if all that hit rested on is as it was: its output is
 * written again, and nothing has to be found out. Undefined, and nothing was done, where anything differs. This is the first
 * thing that recue does, before its own command line is understood, so it must not need what takes time to load.
 */
export function repeatedRun(): number | undefined {
  const { argv, env } = process
  if (argv[2] !== 'run') return undefined
  const clock = { startedMs: Date.now(), start: monotonicMs() }
  const cwd = currentFolder()
  const cacheDir = defaultCacheDir(env, process.platform)
  if (cwd === undefined || !cacheDir.startsWith('/')) return undefined
  const { colours } = terminalOf(1, env)
  const facts = standingRepeat({ argv, environment: env, cwd, cacheDir, colours, nowMs: clock.startedMs })
  try {
    return facts && replay(facts, `${cacheDir}/ledger`, clock)
  } catch (error) {
    // What was to be printed could not be written.
    return reportFailure(error, openOutput({ stdout: terminalOf(1, env), stderr: terminalOf(2, env) }).stderr, {
      verbose: false,
    })
  }
}

interface Clock {
  readonly startedMs: number
  readonly start: number
}

/** The ledger is opened first: where it cannot be, all of this is left to those who can do something about it. */
function replay(facts: RepeatFacts, ledgerDir: string, { startedMs, start }: Clock): number | undefined {
  const ledger = openLedgerFile(ledgerDir)
  if (ledger === undefined) return undefined
  const exitCode = show(facts.chunks) ? facts.exitCode : READER_GONE_EXIT
  const durationMs = monotonicMs() - start
  const savedMs = Math.max(0, facts.commandMs - durationMs)
  if (facts.said !== undefined) say(facts.said, { durationMs, savedMs })
  const entry = Buffer.from(facts.entry, 'base64')
  const rest = restOfEntry({ startedMs, exitCode, durationMs, savedMs })
  try {
    writeSync(ledger, encodeFrame(Buffer.concat([entry, rest])))
    closeSync(ledger)
  } catch {
    // A full disk: the run is not counted.
  }
  return exitCode
}

/** False when the reader of a stream went away: it ends there, as the command would have. */
function show(chunks: RepeatFacts['chunks']): boolean {
  for (const [stream, text] of chunks) if (!writeAll(DESCRIPTORS[stream], Buffer.from(text, 'base64'))) return false
  return true
}

const DESCRIPTORS: Readonly<Record<StreamName, number>> = { stdout: 1, stderr: 2 }

function say({ key, files, bytes }: RepeatSaid, times: { durationMs: number; savedMs: number }): void {
  const { paint } = terminalOf(2, process.env)
  const outcome = {
    status: 'hit',
    key: { hash: key },
    outputs: { length: files },
    outputBytes: bytes,
    ...times,
  } as const
  writeAll(2, `recue: ${outcomeLine({ ...outcome, written: 0, isLeft: false }, { paint, why: undefined })}\n`)
}

/** Fields of a `RunRecord` that differ from run to run; in protobuf they may stand after the others. */
function restOfEntry(times: { startedMs: number; exitCode: number; durationMs: number; savedMs: number }): Buffer {
  const bytes: number[] = []
  const field = (number: number, value: number) => {
    bytes.push(number << 3)
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
    bytes.push(rest)
  }
  field(4, times.startedMs)
  field(7, times.exitCode)
  field(8, Math.round(times.durationMs))
  field(9, Math.round(times.savedMs))
  field(10, Math.round(times.durationMs * 1000))
  return Buffer.from(bytes)
}

/** Undefined where it was deleted under our feet. */
function currentFolder(): string | undefined {
  try {
    return process.cwd()
  } catch {
    return undefined
  }
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
