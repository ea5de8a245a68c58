import { fstatSync } from 'node:fs'

/** What stands behind a stream. */
export interface Terminal {
  readonly isTerminal: boolean
  readonly colours: boolean
  /** 80 where nobody knows. */
  readonly columns: number
  readonly paint: Paint
}

export type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'cyan' | 'magenta' | 'dim' | 'bold'
/** The text in a colour, or as it is where colours are off. */
export type Paint = (colour: Colour, text: string) => string

type Environment = Readonly<Record<string, string | undefined>>

const CODES: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
  dim: [2, 22],
  bold: [1, 22],
}

/** Looks at a descriptor without opening a stream on it: `process.stdout` would make a pipe non-blocking. */
export function terminalOf(fd: 1 | 2, environment: Environment): Terminal {
  const isTerminal = isTty(fd)
  const colours = wantsColours(isTerminal, environment)
  return {
    isTerminal,
    colours,
    get columns() {
      return isTerminal ? columnsOf(fd, environment) : 80
    },
    paint: colours ? (colour, text) => `\x1b[${CODES[colour][0]}m${text}\x1b[${CODES[colour][1]}m` : (_, text) => text,
  }
}

/** NO_COLOR (no-color.org) and FORCE_COLOR, when set and not empty, win over what the stream is. */
export function wantsColours(isTerminal: boolean, environment: Environment): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = environment
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return isTerminal && TERM !== 'dumb'
}

/** Of a terminal on Linux: the console, serial lines, and pseudo-terminals (Documentation/admin-guide/devices.txt). */
function isTerminalMajor(major: number): boolean {
  return major === 4 || major === 5 || major === 204 || (major >= 136 && major <= 143)
}

/** node:tty is asked only where the device does not say it: loading it takes longer than half a hit, and /dev/null is a device too. */
function isTty(fd: number): boolean {
  try {
    const stats = fstatSync(fd)
    if (process.platform === 'linux') return stats.isCharacterDevice() && isTerminalMajor((stats.rdev >> 8) & 0xfff)
    if (!stats.isCharacterDevice() && process.platform !== 'win32') return false
    return process.getBuiltinModule('node:tty').isatty(fd)
  } catch {
    return false
  }
}

function columnsOf(fd: 1 | 2, environment: Environment): number {
  const stream = fd === 1 ? process.stdout : process.stderr
  return stream.columns || Number.parseInt(environment.COLUMNS ?? '', 10) || 80
}
