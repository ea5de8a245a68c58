import { VERSION } from '../version.ts'
import type { Command } from './command.ts'
import { COMMANDS } from './commands.ts'
import { COMMON_OPTIONS, STORE_OPTIONS } from './common-options.ts'
import { flagName, flagOf, type OptionSpec, type OptionTable } from './options.ts'
import type { Terminal } from './terminal.ts'

/** Narrower is easier to read, and a terminal of 80 columns is still the common one. */
const WIDEST = 80
const INDENT = 30

/** `recue --help`. */
export async function generalHelp(terminal: Terminal): Promise<string> {
  const { paint } = terminal
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()))
  const widest = Math.max(...commands.map(({ command }) => command.name.length))
  const rows = commands.map(({ command }) => `  ${paint('cyan', command.name.padEnd(widest))}  ${command.summary}`)
  return `${paint('bold', 'recue')} ${VERSION} remembers the result of a command and replays it.

  ${paint('dim', '$')} recue run -i src -o dist -- npm run build
  ${paint('dim', '$')} recue run build test

${paint('bold', 'Commands')}
${rows.join('\n')}

${paint('bold', 'The first steps')}
  recue demo               See a project built, cleaned and replayed.
  recue run -- npm test    Exit code and output alone are kept: no -o needed.
  recue why last           Why did it run, and not replay?

recue COMMAND --help tells more of one command. Every setting has a variable:
--cache-dir is RECUE_CACHE_DIR. A config file saves typing: recue help config
`
}

/** `recue NAME --help`. */
export function commandHelp(command: Command, terminal: Terminal): string {
  const { paint } = terminal
  const width = Math.min(terminal.columns, WIDEST)
  const parts = [command.usage.map((usage, i) => `${i === 0 ? 'Usage:' : '      '} recue ${usage}`).join('\n')]
  if (command.description !== undefined) parts.push(wrap(command.description, width, 0))
  if (command.examples !== undefined) {
    const rows = command.examples.map(
      ({ line, does }) => `  ${paint('dim', '$')} ${line}\n    ${paint('dim', wrap(does, width - 4, 4))}`,
    )
    parts.push(`${paint('bold', 'Examples')}\n${rows.join('\n')}`)
  }
  // All commands have them, and few people need them for others than these.
  const store = STORE_COMMANDS.has(command.name) ? STORE_OPTIONS : {}
  for (const [group, rows] of groupsOf({ ...command.options, ...COMMON_OPTIONS, ...store }, terminal, width))
    parts.push(`${paint('bold', group)}\n${rows.join('\n')}`)
  if (command.exits !== undefined) {
    const rows = command.exits.map(({ code, means }) => `  ${String(code).padStart(5)}  ${wrap(means, width - 9, 9)}`)
    parts.push(`${paint('bold', 'Exit codes')}\n${rows.join('\n')}`)
  }
  if (!STORE_COMMANDS.has(command.name))
    parts.push('Options of the store, such as --max-cache-size: recue config --help')
  return `${parts.join('\n\n')}\n`
}

const STORE_COMMANDS: ReadonlySet<string> = new Set(['run', 'gc', 'config'])

function groupsOf(options: OptionTable, terminal: Terminal, width: number): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const [key, spec] of Object.entries(options)) {
    const group = spec.group ?? 'Options'
    const rows = groups.get(group) ?? []
    groups.set(group, rows)
    rows.push(optionRow(key, spec, terminal, width))
  }
  return groups
}

function optionRow(key: string, spec: OptionSpec, { paint }: Terminal, width: number): string {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `
  const value = spec.kind === 'flag' ? '' : ` ${spec.value ?? flagName(key).split('-').at(-1)?.toUpperCase()}`
  const flag = `${flagOf(key, spec)}${value}`
  const choices = spec.choices === undefined ? '' : ` One of ${spec.choices.join(', ')}.`
  const standard = spec.default === undefined || spec.kind === 'flag' ? '' : ` Default: ${spec.default}.`
  const text = wrap(`${spec.summary}${choices}${standard}`, width - INDENT, INDENT)
  const left = `  ${short}${flag}`
  const gap = left.length > INDENT - 2 ? `\n${' '.repeat(INDENT)}` : ' '.repeat(INDENT - left.length)
  return `  ${short}${paint('cyan', flag)}${gap}${text}`
}

/** Breaks between words; lines after the first are indented. */
function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line)
        line = word
      } else {
        line = line === '' ? word : `${line} ${word}`
      }
    }
    lines.push(line)
  }
  return lines.join(`\n${' '.repeat(indent)}`)
}
