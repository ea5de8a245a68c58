import { join } from 'node:path'
import type { ActionDigest } from '../../digest/digest.ts'
import { childEnvironment } from '../key/environment.ts'
import { findExecutable } from '../key/executable.ts'
import type { ChildEnvironment } from '../key/keyed-action.ts'
import type { ActionRequest } from '../request.ts'
import type { RunNotice, RunOptions, RunOutcome } from '../run-outcome.ts'
import type { ActiveRun } from './run-action-active.ts'
import { RunClock } from './run-action-clock.ts'
import { type CommandEnd, runCommand } from './run-action-command.ts'
import { holdOutputs } from './run-action-outputs.ts'
import type { Prepared } from './run-action-prepared.ts'

/** For when there is no store to ask, or none is to be asked: the same environment and exit codes, and nothing is kept. */
export async function runUncached(request: ActionRequest, options: RunOptions, reason: string): Promise<RunOutcome> {
  const clock = new RunClock()
  const environment = childEnvironment(request.environment).child
  const { path: program } = findExecutable(request.argv[0] ?? '', {
    cwd: join(request.root, request.workingDirectory),
    searchPath: environment.variables.PATH,
    extensions: environment.variables.PATHEXT,
  })
  await clock.elsewhere(async () => options.turn?.())
  options.notice({ kind: 'started' })
  const what = { program, variables: environment.variables }
  const end = await clock.elsewhere(() => runCommand(request, what, options, undefined))
  sayWithheld(environment, end, options.notice)
  return clock.outcome({ status: 'bypassed', key: undefined, exitCode: end.exitCode, reason })
}

/** Runs a command of which nothing is to be kept, though the cache is there. */
export async function runUnkept(
  run: ActiveRun,
  what: Prepared,
  key: ActionDigest | undefined,
  reason: string,
): Promise<RunOutcome> {
  await run.takeTurn()
  await using _outputs = await holdOutputs(run, what.outputs)
  run.options.notice({ kind: 'started' })
  const end = await run.execute(what)
  sayWithheld(what.environment, end, run.options.notice)
  return run.clock.outcome({ status: 'uncached', key, exitCode: end.exitCode, reason })
}

/** A command that fails by itself may lack a variable that it gets when run by hand. */
export function sayWithheld(
  { withheld }: ChildEnvironment,
  { exitCode, wasInterrupted }: CommandEnd,
  notice: (notice: RunNotice) => void,
): void {
  if (exitCode === 0 || wasInterrupted || withheld.length === 0) return
  const variables = withheld.length === 1 ? '1 variable was' : `${withheld.length} variables were`
  notice({ kind: 'warning', text: `${variables} withheld from the command: see which with \`recue config --env\`.` })
}
