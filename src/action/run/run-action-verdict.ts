import { readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import { formatDuration } from '../../units/duration.ts'
import { formatSize } from '../../units/size.ts'
import type { KeyedAction } from '../key/keyed-action.ts'
import { listed } from '../listed-paths.ts'
import { strays } from '../outputs/strays.ts'
import type { RunOptions } from '../run-outcome.ts'
import type { ActiveRun } from './run-action-active.ts'
import type { CommandEnd } from './run-action-command.ts'
import type { Done } from './run-action-done.ts'
import { MOST_STREAM_BYTES } from './stream-capture.ts'

/** Outputs proposed at once. */
const PROPOSED = 3

/** Why what a command did must not be kept, before its outputs are looked at; one line, or undefined. Names strays. */
export async function whyNotKept(
  run: ActiveRun,
  action: KeyedAction,
  { end, streams, sinceMs }: Done,
): Promise<string | undefined> {
  const ending = whyEndingIsNotKept(end, run.options)
  if (ending !== undefined) return ending
  if (streams.isTooLong) return `it printed more than ${formatSize(MOST_STREAM_BYTES)}, the most that is kept`
  if (streams.failure !== undefined) return `its output could not be captured: ${textOf(streams.failure)}`
  const changed = action.inputs.changed()
  if (changed !== undefined) return `the input ${changed} changed while the command ran`
  return run.means.answersForStrays ? whyStraysForbid(run, action, sinceMs) : undefined
}

function whyEndingIsNotKept(end: CommandEnd, { cacheFailures, timeoutMs }: RunOptions): string | undefined {
  if (end.wasInterrupted) return 'the run was interrupted'
  if (end.isReaderGone) return 'the reader of its output went away'
  if (end.endedBy === 'timeout') return `the command was ended after ${formatDuration(timeoutMs ?? 0)}`
  if (end.endedBy === 'signal') return `a signal ended the command (exit code ${end.exitCode})`
  if (end.exitCode !== 0 && !cacheFailures) return `the command failed with exit code ${end.exitCode}`
  if (end.isUnheard) return 'too few file handles are left to hear the command: raise their limit (ulimit -n)'
  if (end.leftBehind) return 'a process that the command left in the background still holds its output'
  return undefined
}

/** Files made where no output is declared: without any output the result would lack them, so it is not kept. */
async function whyStraysForbid(run: ActiveRun, action: KeyedAction, sinceMs: number): Promise<string | undefined> {
  const found = await strays(run.workspace, {
    sinceMs,
    outputs: action.outputs,
    scratch: run.options.scratch,
    isInput: (path) => action.inputs.has(path),
  })
  if (found === undefined || found.length === 0) return undefined
  if (action.outputs.length === 0)
    return `the command made ${listed(found)} and no output is declared: say ${proposal(run, action, found)}`
  run.warn(
    `The command made or changed ${listed(found)}, which ${found.length === 1 ? 'is' : 'are'} not among its outputs.`,
  )
  return undefined
}

/** The folders in which the files lie, where no input lies in them; else the files. As the person would type them. */
function proposal({ request }: ActiveRun, action: KeyedAction, paths: readonly string[]): string {
  const places = new Set(paths.map((path) => placeOf(path, request.root, action)))
  const outermost = [...places].filter((place) => ![...places].some((other) => place.startsWith(`${other}/`)))
  const words = outermost.slice(0, PROPOSED).map((place) => `-o ${posix.relative(request.workingDirectory, place)}`)
  return words.join(' ') + (outermost.length > PROPOSED ? ' …' : '')
}

function placeOf(path: string, root: string, action: KeyedAction): string {
  let place = path
  for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) {
    if (holdsInput(root, folder, action)) break
    place = folder
  }
  return place
}

function holdsInput(root: string, folder: string, action: KeyedAction): boolean {
  try {
    const entries = readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    return entries.some(({ name, parentPath }) => {
      const path = posix.join(folder, posix.relative(join(root, folder), join(parentPath, name)))
      return action.inputs.has(path)
    })
  } catch {
    return true
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
