import { resolve as resolvePath } from 'node:path'
import { CacheError } from '../errors.ts'
import { VERSION } from '../version.ts'
import type { Command, CommandContext } from './command.ts'
import { COMMANDS } from './commands.ts'
import { COMMON_OPTIONS, STORE_OPTIONS } from './common-options.ts'
import { reportFailure } from './failure.ts'
import type { OptionTable } from './options.ts'
import { type Output, openOutput, writeAll } from './output.ts'
import { type ParsedArguments, parseArguments } from './parse-arguments.ts'
import { ALL_OPTIONS, environmentLayer, type Layer, resolve, valuesOf } from './settings.ts'
import { terminalOf } from './terminal.ts'

start()

/** Nothing is waited for after the command's answer: all output is written synchronously, and idle handles may stay open. */
function start(): void {
  const environment = process.env
  const output = openOutput({ stdout: terminalOf(1, environment), stderr: terminalOf(2, environment) })
  // `--verbose` may stand anywhere, and mistakes are found before it is parsed.
  const own = process.argv.slice(2, process.argv.includes('--') ? process.argv.indexOf('--') : undefined)
  const verbose = own.includes('--verbose') || own.includes('-v')
  const fail = (error: unknown) => process.exit(reportFailure(error, output.stderr, { verbose }))
  process.on('uncaughtException', fail)
  main(process.argv.slice(2), output).then((code) => process.exit(code), fail)
}

async function main(argv: readonly string[], output: Output): Promise<number> {
  const { name, rest } = commandOf(argv)
  if (name === 'version') {
    writeAll(1, `recue ${VERSION}\n`)
    return 0
  }
  if (name === 'help') return help(rest, output)
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (load === undefined) throw await unknownCommand(name)
  const command = (await load()).command
  const table: OptionTable = { ...COMMON_OPTIONS, ...STORE_OPTIONS, ...command.options }
  const parsed = parseArguments(rest, table)
  if (parsed.given.get('help')?.at(-1) === 'true') {
    const { commandHelp } = await import('./help.ts')
    output.stdout.write(commandHelp(command, output.stdout.terminal))
    return 0
  }
  checkWords(command, parsed)
  return command.run(contextOf(table, parsed, output))
}

/** `recue help`, `recue help run`. */
async function help([name]: readonly string[], { stdout }: Output): Promise<number> {
  const { commandHelp, generalHelp } = await import('./help.ts')
  if (name === undefined || name.startsWith('-')) {
    stdout.write(await generalHelp(stdout.terminal))
    return 0
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (load === undefined) throw await unknownCommand(name)
  stdout.write(commandHelp((await load()).command, stdout.terminal))
  return 0
}

/** Options of every command may stand before its name: `recue -C web run build`. */
function commandOf(argv: readonly string[]): { name: string; rest: readonly string[] } {
  let at = 0
  for (; at < argv.length; at++) {
    const word = argv[at] as string
    if (word === '--version' || word === '-V') return { name: 'version', rest: [] }
    if (word === '--help' || word === '-h') return { name: 'help', rest: argv.slice(at + 1) }
    if (!word.startsWith('-') || word === '--') break
    if (takesNextWord(word)) at++
  }
  const name = argv[at]
  // ccache starts its helper with no words, by whatever name.
  if (name === undefined) return { name: process.env.CRSH_IPC_ENDPOINT ? 'ccache-helper' : 'help', rest: [] }
  if (name === '--') {
    throw new CacheError('usage', 'There is no command before --.', { hint: 'To run a command: recue run -- COMMAND' })
  }
  return { name, rest: [...argv.slice(0, at), ...argv.slice(at + 1)] }
}

function takesNextWord(word: string): boolean {
  return ['-C', '--cwd', '--root', '--cache-dir'].includes(word)
}

async function unknownCommand(name: string): Promise<CacheError> {
  const { didYouMean } = await import('./suggestion.ts')
  const hint =
    didYouMean(name, [...Object.keys(COMMANDS), 'help', 'version']) ??
    `To run a task: recue run ${name}. See recue --help.`
  return new CacheError('usage', `There is no command ${name}.`, { hint })
}

function checkWords(command: Command, { args, commandLine }: ParsedArguments): void {
  const usage = `Usage: recue ${command.usage[0] ?? command.name}`
  if (commandLine !== undefined && command.takesCommand !== true) {
    throw new CacheError('usage', `recue ${command.name} takes no command after --.`, { hint: usage })
  }
  const { min, max } = command.arguments ?? { min: 0, max: Number.POSITIVE_INFINITY }
  if (args.length > max) {
    throw new CacheError('usage', `recue ${command.name}: "${args[max]}" is one argument too many.`, { hint: usage })
  }
  if (args.length < min) throw new CacheError('usage', `recue ${command.name} needs an argument.`, { hint: usage })
}

function contextOf(table: OptionTable, parsed: ParsedArguments, output: Output): CommandContext {
  const environment = process.env
  const flags: Layer = { origin: 'flag', place: '', values: parsed.given }
  const given = [settingsAmong(flags, table), environmentLayer(ALL_OPTIONS, environment)]
  // By itself, since `run` needs no other option before its session has resolved them all.
  const folder = parsed.given.get('cwd')?.at(-1) ?? environment.RECUE_CWD
  const cwd = resolvePath(folder ?? '.')
  if (folder !== undefined) enter(cwd)
  let options: CommandContext['options'] | undefined
  let controller: AbortController | undefined
  return {
    args: parsed.args,
    commandLine: parsed.commandLine,
    get options() {
      options ??= valuesOf<typeof COMMON_OPTIONS>(resolve(table, [flags, environmentLayer(table, environment)]))
      return options
    },
    given,
    output,
    cwd,
    environment,
    get signal() {
      controller ??= abortOnSignals()
      return controller.signal
    },
    open: async ({ said = [], ...openOptions } = {}) => {
      const { openSession } = await import('./session.ts')
      return openSession({ ...openOptions, given: [...given, ...said], cwd, environment })
    },
  }
}

/** A command may have an option of its own by the name of a setting: `config --env`. */
function settingsAmong(flags: Layer, table: OptionTable): Layer {
  const all: OptionTable = ALL_OPTIONS
  const values = new Map<string, unknown>()
  for (const [key, value] of flags.values) if (all[key] === table[key]) values.set(key, value)
  return { ...flags, values }
}

function enter(folder: string): void {
  try {
    process.chdir(folder)
  } catch (cause) {
    throw new CacheError('usage', `--cwd: ${folder} is not a folder that can be entered.`, { cause })
  }
}

function abortOnSignals(): AbortController {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => controller.abort(name))
  return controller
}
