/** A terminal that the command is not connected to and is told of. */
export interface TerminalHint {
  readonly columns: number
  readonly colours: boolean
}

/**
 * The child's variables with those that stand in for a terminal: FORCE_COLOR and COLUMNS, where the person has not said
 * otherwise. `colourForced`: colour codes in the output are there because of FORCE_COLOR, whoever set it.
 */
export function withTerminal(
  variables: Readonly<Record<string, string>>,
  terminal: TerminalHint | undefined,
): { variables: Record<string, string>; colourForced: boolean } {
  const all: Record<string, string> = { ...variables }
  const isColourless = Boolean(all.NO_COLOR)
  if (terminal !== undefined) {
    if (terminal.columns > 0) all.COLUMNS ??= String(terminal.columns)
    if (terminal.colours && !isColourless) all.FORCE_COLOR ??= colourDepth(all)
  }
  const forced = all.FORCE_COLOR
  return { variables: all, colourForced: forced !== undefined && forced !== '0' && forced !== 'false' }
}

/** As Node, chalk and their like read FORCE_COLOR: 1 is 16 colours, 2 is 256, 3 is 16 million. */
function colourDepth({ COLORTERM, TERM }: Readonly<Record<string, string>>): string {
  if (COLORTERM === 'truecolor' || COLORTERM === '24bit') return '3'
  return TERM?.includes('256') ? '2' : '1'
}
