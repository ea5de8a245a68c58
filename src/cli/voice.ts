import type { RunNotice } from '../action/run-outcome.ts'
import { never } from '../errors.ts'
import type { Paint } from './terminal.ts'

/** recue's own lines while commands run, on stderr and brief. */
export interface Voice {
  /** How it went; silenced by `--quiet`. */
  say(text: string): void
  /** Only with `--verbose`. */
  detail(text: string): void
  notice(notice: RunNotice): void
}

export function openVoice(options: {
  readonly write: (text: string) => void
  readonly paint: Paint
  readonly quiet: boolean
  readonly verbose: boolean
}): Voice {
  const { write, paint, quiet, verbose } = options
  const line = (text: string) => write(`recue: ${text.replace(/\r?\n/g, '\\n')}\n`)
  return {
    say: (text) => {
      if (!quiet) line(text)
    },
    detail: (text) => {
      if (verbose) line(paint('dim', text))
    },
    notice(notice) {
      switch (notice.kind) {
        case 'started':
          return
        case 'waiting':
          if (!quiet) line(paint('dim', `waiting for the same work elsewhere: ${notice.holder}`))
          return
        case 'warning':
          if (!quiet) line(`${paint('yellow', 'warning')}: ${notice.text}`)
          return
        case 'trashed':
          // Said even when quiet: something of the user's is not where it was.
          line(
            `${paint('yellow', 'moved aside')}, since no kept result has it: ${listed(notice.paths)} → ${notice.trash}`,
          )
          return
        default:
          never(notice)
      }
    },
  }
}

/** The first few, and how many more. */
function listed(paths: readonly string[]): string {
  const shown = paths.slice(0, 3).join(', ')
  return paths.length <= 3 ? shown : `${shown} and ${paths.length - 3} more`
}
