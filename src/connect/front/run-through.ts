import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { CacheError, systemCode } from '../../errors.ts'
import { parseServerAddress } from '../server-address.ts'
import { remoteOf, type Tool } from '../tool.ts'

export interface ThroughFront {
  /** The front's. */
  readonly url: string
  readonly tools: readonly Tool[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Ends the command. */
  readonly signal: AbortSignal
}

/**
 * Runs a command whose tools go through a front; it has the terminal, and all that it prints is its own. Its exit code, or
 * 128 and the number of the signal that ended it. Throws `command.not-found` and `command.not-executable`.
 */
export async function runThrough(argv: readonly string[], through: ThroughFront): Promise<number> {
  const [program = '', ...words] = argv
  const child = spawn(program, words, { stdio: 'inherit', env: environmentOf(through) })
  const end = () => {
    // A terminal's own interrupt has reached the command already, and it decides what that means.
    if (through.signal.reason !== 'SIGINT' || !isatty(0)) child.kill(through.signal.reason as NodeJS.Signals)
  }
  if (through.signal.aborted) end()
  else through.signal.addEventListener('abort', end, { once: true })
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(cannotRun(program, error)))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal as NodeJS.Signals]))
  })
}

/** The token stays with the front: what runs in a build need not be able to read it. */
function environmentOf({ url, tools, environment }: ThroughFront): Record<string, string | undefined> {
  const remote = remoteOf(parseServerAddress(url))
  const own = tools.flatMap((tool) => tool.setup(remote, { has: () => false, versionOf: () => undefined }).environment)
  const variables = Object.fromEntries(own.map(({ name, value }) => [name, value]))
  return { ...environment, RECUE_TOKEN: undefined, ...variables, RECUE_FRONT: url }
}

function cannotRun(program: string, cause: Error): CacheError {
  const isMissing = systemCode(cause) === 'ENOENT'
  return isMissing
    ? new CacheError('command.not-found', `${program}: command not found.`, { cause })
    : new CacheError('command.not-executable', `${program}: cannot be executed (${systemCode(cause)}).`, { cause })
}
