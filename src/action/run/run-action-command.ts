import { join } from 'node:path'
import type { ActionRequest } from '../request.ts'
import type { RunOptions } from '../run-outcome.ts'
import { type ChildEnd, runChild } from './child.ts'
import { withTerminal } from './child-terminal.ts'
import type { StreamCapture } from './stream-capture.ts'
import { patient } from './stream-sink.ts'

export interface CommandEnd extends ChildEnd {
  readonly colourForced: boolean
  /** Whoever read the output went away before the end, and the command may have been told so. */
  readonly isReaderGone: boolean
}

/**
 * Runs the command of a request as the options say; its output goes to the sink as it comes, and into `capture`. What the
 * sink rejects with is thrown once the command has ended.
 */
export async function runCommand(
  request: ActionRequest,
  what: { readonly program: string; readonly variables: Readonly<Record<string, string>> },
  options: RunOptions,
  capture: StreamCapture | undefined,
): Promise<CommandEnd> {
  const { variables, colourForced } = withTerminal(what.variables, options.interactive ? undefined : options.terminal)
  const live = options.liveOutput ? patient(options.sink) : undefined
  const end = await runChild({
    program: what.program,
    argv: request.argv,
    cwd: join(request.root, request.workingDirectory),
    variables,
    stdin: request.stdin,
    interactive: options.interactive,
    timeoutMs: options.timeoutMs,
    hostSignals: options.hostSignals ?? false,
    signal: options.signal,
    onOutput(stream, chunk) {
      capture?.add(stream, chunk)
      if (live === undefined) return undefined
      const isTaken = live[stream](chunk)
      const delivered = () => (live.isGone(stream) ? 'gone' : undefined)
      return isTaken instanceof Promise ? isTaken.then(delivered) : delivered()
    },
  })
  const failure = live?.failure()
  if (failure !== undefined) throw failure
  return { ...end, colourForced, isReaderGone: live !== undefined && (live.isGone('stdout') || live.isGone('stderr')) }
}
