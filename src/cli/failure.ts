import { CacheError, type ErrorCode, isCacheError } from '../errors.ts'
import type { Stream } from './output.ts'

/** The user's mistake, or recue's own fault before a command could run. */
export const MISTAKE_EXIT = 125

const EXITS: Partial<Record<ErrorCode, number>> = { 'command.not-executable': 126, 'command.not-found': 127 }

/** Says in one line what is wrong and where, and in another what to do. No stack ever, unless asked for. The exit code. */
export function reportFailure(error: unknown, stderr: Stream, options: { readonly verbose: boolean }): number {
  const { paint } = stderr.terminal
  const known = isCacheError(error) ? error : systemFailure(error)
  if (known !== undefined) {
    stderr.line(`recue: ${paint('red', oneLine(known.message))}`)
    if (known.hint !== undefined) stderr.line(`       ${known.hint}`)
    if (options.verbose && known.cause !== undefined) stderr.line(paint('dim', inspectCause(known.cause)))
    return EXITS[known.code] ?? MISTAKE_EXIT
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  stderr.line(`recue: ${paint('red', `this is a bug in recue: ${oneLine(what)}`)}`)
  stderr.line(
    options.verbose
      ? paint('dim', error instanceof Error ? (error.stack ?? '') : '')
      : '       Run it again with --verbose and report what it says.',
  )
  return MISTAKE_EXIT
}

/** An operating-system error that nobody below put into words: a full disk, a folder without permission. */
function systemFailure(error: unknown): CacheError | undefined {
  const { code, path } = (error ?? {}) as { code?: unknown; path?: unknown }
  if (!(error instanceof Error) || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return undefined
  const what = error.message.replace(/^[A-Z0-9]+: /, '').split(',')[0]
  const hint = code === 'EMFILE' || code === 'ENFILE' ? 'Raise the limit of open files: ulimit -n 1024.' : undefined
  const message = `${typeof path === 'string' ? `${path}: ` : ''}${what} (${code})`
  return new CacheError('usage', message, { cause: error, ...(hint === undefined ? {} : { hint }) })
}

/** Names in messages may hold line ends, and a line of ours stays one line. */
function oneLine(text: string): string {
  return text.replace(/\r?\n/g, '\\n')
}

function inspectCause(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
}
