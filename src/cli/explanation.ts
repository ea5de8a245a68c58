import type { KeyChange, KeyComparison } from '../observe/key-changes.ts'
import { changeLine } from '../observe/why-text.ts'
import { oneLine, shorten } from './table.ts'
import type { Terminal } from './terminal.ts'

/** More fill the screen and say no more. */
const SHOWN = 20

/** A line each, `+`, `-` or `~` in front. */
export function changeLines({ changes, isCut }: KeyComparison, terminal: Terminal, all: boolean): string[] {
  const shown = all ? changes : changes.slice(0, SHOWN)
  const width = terminal.isTerminal ? terminal.columns - 4 : Number.POSITIVE_INFINITY
  const lines = shown.map((change) => `${markOf(change, terminal)} ${shorten(oneLine(changeLine(change)), width)}`)
  const rest = changes.length - shown.length
  if (rest > 0) lines.push(terminal.paint('dim', `… and ${isCut ? 'over ' : ''}${rest} more: --all`))
  else if (isCut) lines.push(terminal.paint('dim', '… and more inputs'))
  return lines
}

function markOf(change: KeyChange, { paint }: Terminal): string {
  const how = 'how' in change ? change.how : undefined
  if (how === 'added' || how === 'set') return paint('green', '+')
  if (how === 'removed' || how === 'unset') return paint('red', '-')
  return paint('yellow', '~')
}
