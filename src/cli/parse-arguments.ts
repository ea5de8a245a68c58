import { CacheError } from '../errors.ts'
import { flagName, keyOfFlag, type OptionSpec, type OptionTable } from './options.ts'
import { didYouMean } from './suggestion.ts'

/** A command line taken apart; values are still text. */
export interface ParsedArguments {
  /** By key of the table; a flag is `true` or `false`. */
  readonly given: ReadonlyMap<string, readonly string[]>
  readonly args: readonly string[]
  /** What stands after `--`; undefined when there is none. */
  readonly commandLine: readonly string[] | undefined
}

/**
 * Takes `--name value`, `--name=value`, `--no-name`, `-n value`, `-nvalue` and `-fqv`, in any place before `--`. Written
 * here rather than with `node:util`, whose messages cannot say what was meant. Throws `usage`.
 */
export function parseArguments(argv: readonly string[], table: OptionTable): ParsedArguments {
  const given = new Map<string, string[]>()
  const args: string[] = []
  const end = argv.indexOf('--')
  const words = end === -1 ? argv : argv.slice(0, end)
  const add = (key: string, value: string) => {
    const values = given.get(key)
    if (values === undefined) given.set(key, [value])
    else values.push(value)
  }
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (word.startsWith('--')) at += takeLong(word, words[at + 1], table, add)
    else if (word.startsWith('-') && word !== '-') at += takeShort(word, words[at + 1], table, add)
    else args.push(word)
  }
  return { given, args, commandLine: end === -1 ? undefined : argv.slice(end + 1) }
}

type Add = (key: string, value: string) => void

interface Option {
  readonly key: string
  readonly spec: OptionSpec
}

function optionNamed(name: string, table: OptionTable): Option | undefined {
  const key = name.startsWith('--') ? keyOfFlag(name.slice(2)) : keyOfShort(name.slice(1), table)
  const spec = key !== undefined && Object.hasOwn(table, key) ? table[key] : undefined
  return key === undefined || spec === undefined ? undefined : { key, spec }
}

function keyOfShort(letter: string, table: OptionTable): string | undefined {
  for (const key in table) if (table[key]?.short === letter) return key
  return undefined
}

/** How many further words were used up. */
function takeLong(word: string, next: string | undefined, table: OptionTable, add: Add): number {
  const equals = word.indexOf('=')
  const name = equals === -1 ? word : word.slice(0, equals)
  const inline = equals === -1 ? undefined : word.slice(equals + 1)
  const option = optionNamed(name, table)
  if (option === undefined) {
    const denied = name.startsWith('--no-') ? optionNamed(`--${name.slice(5)}`, table) : undefined
    if (denied?.spec.kind !== 'flag' || inline !== undefined) throw unknownOption(name, table)
    add(denied.key, 'false')
    return 0
  }
  if (option.spec.kind === 'flag') {
    add(option.key, inline ?? 'true')
    return 0
  }
  add(option.key, inline ?? valueAfter(name, option.spec, next))
  return inline === undefined ? 1 : 0
}

function takeShort(word: string, next: string | undefined, table: OptionTable, add: Add): number {
  for (let at = 1; at < word.length; at++) {
    const name = `-${word[at]}`
    const option = optionNamed(name, table)
    if (option === undefined) throw unknownOption(name, table)
    if (option.spec.kind === 'flag') {
      add(option.key, 'true')
      continue
    }
    const rest = word.slice(at + 1)
    add(option.key, rest === '' ? valueAfter(name, option.spec, next) : rest.replace(/^=/, ''))
    return rest === '' ? 1 : 0
  }
  return 0
}

function valueAfter(name: string, spec: OptionSpec, next: string | undefined): string {
  if (next !== undefined) return next
  const value = spec.value ?? spec.choices?.join('|') ?? 'value'
  throw new CacheError('usage', `${name} needs a value.`, { hint: `Write it as: ${name} ${value}` })
}

function unknownOption(name: string, table: OptionTable): CacheError {
  const known = Object.entries(table).flatMap(([key, { kind }]) =>
    kind === 'flag' ? [`--${flagName(key)}`, `--no-${flagName(key)}`] : [`--${flagName(key)}`],
  )
  return new CacheError('usage', `There is no option ${name}.`, {
    hint:
      didYouMean(name, name.startsWith('--') ? known : []) ??
      'See --help. Options of a command to be run belong after --.',
  })
}
