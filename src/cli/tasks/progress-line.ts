import type { Terminal } from '../terminal.ts'

export interface Progress {
  readonly total: number
  readonly done: number
  readonly hits: number
  /** Names of what runs now, longest running first. */
  readonly running: readonly string[]
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/** One line that says how far it is, cut to the width. `tick` counts redraws. */
export function progressLine(progress: Progress, tick: number, terminal: Pick<Terminal, 'columns' | 'paint'>): string {
  const { total, done, hits, running } = progress
  const head = `${FRAMES[tick % FRAMES.length]} ${done}/${total}${hits === 0 ? '' : ` · ${hits} ${hits === 1 ? 'hit' : 'hits'}`}`
  // The last column stays free: some terminals wrap when it is filled.
  const room = terminal.columns - 1 - head.length - 3
  const names = fitted(running, room)
  return names === ''
    ? terminal.paint('dim', head.slice(0, terminal.columns - 1))
    : `${terminal.paint('dim', head)} · ${names}`
}

/** As many names as there is room for, and how many more there are. */
function fitted(names: readonly string[], room: number): string {
  for (let shown = names.length; shown > 0; shown--) {
    const more = names.length - shown
    const text = names.slice(0, shown).join(', ') + (more === 0 ? '' : ` +${more}`)
    if (text.length <= room) return text
  }
  return room > 8 && names[0] !== undefined ? `${names[0].slice(0, room - 1)}…` : ''
}
