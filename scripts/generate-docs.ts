/** Writes `docs/commands.md` from the commands and the one table of options. */
import { writeFileSync } from 'node:fs'
import type { Command } from '../src/cli/command.ts'
import { COMMANDS } from '../src/cli/commands.ts'
import { COMMON_OPTIONS, STORE_OPTIONS } from '../src/cli/common-options.ts'
import { flagOf, hasVariable, type OptionSpec, type OptionTable, variableName } from '../src/cli/options.ts'

export async function commandsPage(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()))
  const parts = [
    '# Commands',
    'Made by `node scripts/generate-docs.ts` from the same table as `--help`. What is a setting has a variable; a list in a variable is one item a line, or separated by commas. A flag in a variable is `1` or `0`.',
    ...commands.map(({ command }) => section(command)),
    '## Options of every command',
    optionsTable(COMMON_OPTIONS),
    '## Options of the store',
    'How the cache folder is opened; every command that uses it has them.',
    optionsTable(STORE_OPTIONS),
  ]
  return `${parts.join('\n\n')}\n`
}

function section(command: Command): string {
  const parts = [`## recue ${command.name}`, `${command.summary}.`]
  parts.push(fenced(command.usage.map((usage) => `recue ${usage}`)))
  if (command.description !== undefined) parts.push(command.description)
  if (command.examples !== undefined) {
    parts.push(fenced(command.examples.map(({ line, does }) => `${line}   # ${does.replaceAll('\n', ' ')}`)))
  }
  if (Object.keys(command.options).length > 0) parts.push(optionsTable(command.options))
  if (command.exits !== undefined) {
    const rows = command.exits.map(({ code, means }) => `| ${code} | ${cell(means)} |`)
    parts.push(['| exit code | |', '| --- | --- |', ...rows].join('\n'))
  }
  return parts.join('\n\n')
}

function fenced(lines: readonly string[]): string {
  return ['```sh', ...lines, '```'].join('\n')
}

function optionsTable(options: OptionTable): string {
  const rows = Object.entries(options).map(([key, spec]) => optionRow(key, spec))
  return ['| option | variable | config | |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function optionRow(key: string, spec: OptionSpec): string {
  const value = spec.kind === 'flag' ? '' : ` ${spec.value ?? key.toUpperCase()}`
  const short = spec.short === undefined ? '' : `\`-${spec.short}\`, `
  const variable = hasVariable(spec) ? `\`${variableName(key)}\`` : ''
  const setting = spec.setting === undefined ? '' : `\`${spec.setting}\``
  const choices =
    spec.choices === undefined ? '' : ` One of ${spec.choices.map((choice) => `\`${choice}\``).join(', ')}.`
  const standard = spec.default === undefined || spec.kind === 'flag' ? '' : ` Default: \`${spec.default}\`.`
  return `| ${short}\`${flagOf(key, spec)}${value}\` | ${variable} | ${setting} | ${cell(spec.summary)}${choices}${standard} |`
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

if (import.meta.main) writeFileSync(new URL('../docs/commands.md', import.meta.url), await commandsPage())
