import { writeAll } from '../output.ts'
import type { Terminal } from '../terminal.ts'
import { type Progress, progressLine } from './progress-line.ts'

const REDRAW_MS = 100
const CLEAR = '\r\x1b[K'

/**
 * The terminal while several tasks share it: what they write, and under it one live line. What is written takes the
 * line's place in the same system call that draws it anew, so nothing flickers.
 */
export interface Screen extends Disposable {
  /** False: nobody reads there any more. */
  write(fd: 1 | 2, bytes: Uint8Array | string): boolean
}

export interface ScreenOptions {
  readonly stderr: Terminal
  readonly stdoutIsTerminal: boolean
  /** Undefined: no live line. */
  readonly progress: (() => Progress) | undefined
}

export function openScreen({ stderr, stdoutIsTerminal, progress }: ScreenOptions): Screen {
  if (progress === undefined) return { write: writeAll, [Symbol.dispose]: () => {} }
  let tick = 0
  // Where a text did not end its line, the live line would be drawn into it.
  let isLineOpen = false
  const line = () => (isLineOpen ? '' : progressLine(progress(), tick, stderr))
  const redraw = () => {
    tick++
    if (!isLineOpen) writeAll(2, `${CLEAR}${line()}`)
  }
  const timer = setInterval(redraw, REDRAW_MS)
  timer.unref()
  const clear = () => {
    if (!isLineOpen) writeAll(2, CLEAR)
  }
  process.once('exit', clear)
  return {
    write(fd, bytes) {
      if (fd === 1 && !stdoutIsTerminal) return writeAll(1, bytes)
      const chunk = Buffer.from(bytes)
      const before = isLineOpen ? '' : CLEAR
      isLineOpen = chunk.at(-1) !== 0x0a
      if (fd === 2) return writeAll(2, Buffer.concat([Buffer.from(before), chunk, Buffer.from(line())]))
      writeAll(2, before)
      const isRead = writeAll(1, chunk)
      writeAll(2, line())
      return isRead
    },
    [Symbol.dispose]() {
      clearInterval(timer)
      process.off('exit', clear)
      clear()
    },
  }
}
