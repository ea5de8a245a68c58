import type { Terminal } from './terminal.ts'

export interface Column {
  /** Empty for a column that needs no name. */
  readonly title: string
  /** Numbers stand on the right. */
  readonly align?: 'left' | 'right'
  /** Shortened when the line would be wider than the terminal; one column of a table at most. */
  readonly flexible?: boolean
}

const GAP = 2
const NARROWEST = 12
const CONTROLS: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Lines of text in columns, with a dim line of titles where there are any. Cut to the width of a terminal; whole where a
 * program reads it.
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], terminal: Terminal): string[] {
  const cells = rows.map((row) => row.map(oneLine))
  const titled = columns.some(({ title }) => title !== '')
  const widths = columns.map(({ title }, i) => Math.max(width(title), ...cells.map((row) => width(row[i] ?? ''))))
  if (terminal.isTerminal) narrow(columns, widths, terminal.columns)
  const lines = cells.map((row) => tableLine(columns, widths, row))
  if (!titled) return lines
  const titles = columns.map(({ title }) => title)
  return [terminal.paint('dim', tableLine(columns, widths, titles)), ...lines]
}

/** Names of files may hold line ends and worse; what is printed is one line, and does not move the cursor. */
export function oneLine(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (control) => CONTROLS[control] ?? `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** Its end cut away, so that it is no wider than `columns`. */
export function shorten(text: string, columns: number): string {
  const letters = [...text]
  return letters.length <= columns ? text : `${letters.slice(0, Math.max(0, columns - 1)).join('')}…`
}

function narrow(columns: readonly Column[], widths: number[], available: number): void {
  const flexible = columns.findIndex((column) => column.flexible)
  const total = widths.reduce((sum, one) => sum + one, 0) + GAP * (columns.length - 1)
  if (flexible === -1 || total <= available) return
  widths[flexible] = Math.max(NARROWEST, (widths[flexible] as number) - (total - available))
}

function tableLine(columns: readonly Column[], widths: readonly number[], row: readonly string[]): string {
  const cells = columns.map(({ align }, i) => {
    const columnWidth = widths[i] as number
    const text = shorten(row[i] ?? '', columnWidth)
    const space = ' '.repeat(columnWidth - width(text))
    return align === 'right' ? space + text : text + space
  })
  return cells.join(' '.repeat(GAP)).trimEnd()
}

function width(text: string): number {
  return [...text].length
}
