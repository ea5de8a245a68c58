import { CacheError, isCacheError } from '../errors.ts'
import { parseDuration } from '../units/duration.ts'
import { parseSize } from '../units/size.ts'
import { COMMON_OPTIONS, STORE_OPTIONS } from './common-options.ts'
import {
  flagOf,
  hasVariable,
  keyOfVariable,
  namesPlace,
  type OptionSpec,
  type OptionTable,
  type Values,
  variableName,
} from './options.ts'
import { REMOTE_OPTIONS } from './remote-options.ts'
import { KEY_OPTIONS, RUN_OPTIONS } from './run-options.ts'
import { didYouMean } from './suggestion.ts'

/** Every option there is: the one table behind flags, variables, config keys, help and reference. */
export const ALL_OPTIONS = { ...COMMON_OPTIONS, ...STORE_OPTIONS, ...REMOTE_OPTIONS, ...KEY_OPTIONS, ...RUN_OPTIONS }

export type Settings = Values<typeof ALL_OPTIONS>

/** Options that may be set in a config, by the name they have there. */
export const SETTINGS: ReadonlyMap<string, { readonly key: string; readonly spec: OptionSpec }> =
  settingsOf(ALL_OPTIONS)

function settingsOf(table: OptionTable): typeof SETTINGS {
  const settings = new Map<string, { key: string; spec: OptionSpec }>()
  for (const [key, spec] of Object.entries(table))
    if (spec.setting !== undefined) settings.set(spec.setting, { key, spec })
  return settings
}

/** Who said so, strongest first. */
export type Origin = 'flag' | 'environment' | 'task' | 'project' | 'user' | 'default'

/** Values of one origin as they were written: texts of flags and variables, JSON of configs. By key of the table. */
export interface Layer {
  readonly origin: Origin
  /** Where exactly: a flag's name is added by itself, a config's is its file. */
  readonly place: string
  readonly values: ReadonlyMap<string, unknown>
}

export interface Resolved {
  readonly value: unknown
  /** Of a list or map that several added to: the strongest. */
  readonly origin: Origin
  /** The flag, the variable, or the file and its key; several for lists and maps. */
  readonly places: readonly string[]
}

/**
 * The strongest layer wins, but lists and maps are joined (of a map's entries the strongest): a variable that the project
 * says matters must not leave the key because a flag adds another.
 */
export function resolve(table: OptionTable, layers: readonly Layer[]): ReadonlyMap<string, Resolved> {
  const resolved = new Map<string, Resolved>()
  for (const [key, spec] of Object.entries(table)) {
    const isJoined = spec.kind === 'list' || spec.kind === 'map'
    let origin: Origin = 'default'
    const places: string[] = []
    const values: unknown[] = []
    for (const layer of layers) {
      if (!layer.values.has(key)) continue
      const place = placeOf(layer, key, spec)
      places.push(place)
      values.push(convert(spec, layer.values.get(key), place))
      if (origin === 'default') origin = layer.origin
      if (!isJoined) break
    }
    resolved.set(key, { value: origin === 'default' ? defaultOf(spec) : joined(spec, values), origin, places })
  }
  return resolved
}

/** The values alone, typed by their table. */
export function valuesOf<Table extends OptionTable>(resolved: ReadonlyMap<string, Resolved>): Values<Table> {
  const values: Record<string, unknown> = {}
  for (const [key, { value }] of resolved) values[key] = value
  return values as Values<Table>
}

/** What `RECUE_…` variables say. A list is one item a line, or separated by commas outside of braces. */
export function environmentLayer(table: OptionTable, environment: Readonly<Record<string, string | undefined>>): Layer {
  const values = new Map<string, unknown>()
  // From the variables to the table, since most have none or one: this stands on the way of every hit.
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('RECUE_')) continue
    const key = keyOfVariable(name) ?? ''
    const spec = Object.hasOwn(table, key) ? table[key] : undefined
    const text = environment[name]
    if (spec === undefined || !hasVariable(spec) || text === undefined) continue
    if (text === '' && (spec.kind !== 'text' || namesPlace(spec))) continue
    values.set(key, spec.kind === 'list' || spec.kind === 'map' ? splitList(text) : [text])
  }
  return { origin: 'environment', place: '', values }
}

/** What a config says of settings; its other keys (tasks, $schema) are left out. */
export function configLayer(
  origin: 'task' | 'project' | 'user',
  place: string,
  document: Readonly<Record<string, unknown>>,
): Layer {
  const values = new Map<string, unknown>()
  for (const [name, value] of Object.entries(document)) {
    const key = SETTINGS.get(name)?.key
    if (key !== undefined && value !== undefined) values.set(key, value)
  }
  return { origin, place, values }
}

export function splitList(text: string): string[] {
  const items = text.includes('\n') ? text.split('\n') : text.split(/,(?![^{]*\})/)
  return items.map((item) => item.trim()).filter((item) => item !== '')
}

function joined(spec: OptionSpec, values: readonly unknown[]): unknown {
  if (spec.kind === 'list') return [...new Set((values as string[][]).toReversed().flat())]
  if (spec.kind === 'map') return Object.assign({}, ...values.toReversed()) as unknown
  return values[0]
}

function placeOf(layer: Layer, key: string, spec: OptionSpec): string {
  if (layer.origin === 'flag') return flagOf(key, spec)
  if (layer.origin === 'environment') return variableName(key)
  return `${layer.place}: ${spec.setting ?? key}`
}

function defaultOf(spec: OptionSpec): unknown {
  if (spec.kind === 'flag') return spec.default === 'true'
  if (spec.kind === 'list') return []
  if (spec.kind === 'map') return {}
  const { kind, default: text } = spec
  const isNumber = kind === 'number' || kind === 'size' || kind === 'duration'
  return text !== undefined && isNumber ? convertText(spec, text) : text
}

/** Texts of flags and variables come as a list of what was given, the last one counts; a config gives JSON. */
function convert(spec: OptionSpec, written: unknown, place: string): unknown {
  const isText = Array.isArray(written)
  if (spec.kind === 'list') return checkedList(spec, written as readonly string[], place)
  if (spec.kind === 'map') return isText ? mapOf(written as readonly string[], place) : written
  const value: unknown = isText ? (spec.isMany ? written.join(',') : written.at(-1)) : written
  if (typeof value !== 'string') return spec.kind === 'text' ? String(value) : value
  return naming(place, () => notBelow(spec, value, convertText(spec, value)))
}

/** Runs `read`, and says of a mistake at which flag, variable or key it was made. Throws `usage`. */
export function naming<Value>(place: string, read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (!isCacheError(error)) throw error
    throw new CacheError(error.code, `${place}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint })
  }
}

function notBelow({ least, summary }: OptionSpec, text: string, value: unknown): unknown {
  if (least === undefined || typeof value !== 'number' || value >= least) return value
  throw new CacheError('usage', `"${text}" is too little.`, { hint: summary })
}

function convertText(spec: OptionSpec, text: string): unknown {
  switch (spec.kind) {
    case 'flag':
      return flagValue(text)
    case 'size':
      return parseSize(text)
    case 'duration':
      return parseDuration(text)
    case 'number':
      if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
        throw new CacheError('usage', `"${text}" is not a whole number.`)
      return Number(text)
    case 'choice':
      return oneOf(spec.choices ?? [], text)
    default:
      if (text === '' && namesPlace(spec))
        throw new CacheError('usage', 'The name is empty.', { hint: 'A variable of a script may not be set.' })
      if (spec.shape?.test(text) === false)
        throw new CacheError('usage', `"${text}" is not understood.`, { hint: spec.summary })
      return text
  }
}

function flagValue(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off)$/i.test(text)) return false
  throw new CacheError('usage', `"${text}" is neither true nor false.`)
}

function oneOf(choices: readonly string[], text: string): string {
  if (choices.includes(text)) return text
  throw new CacheError('usage', `"${text}" is none of ${choices.join(', ')}.`, {
    hint: didYouMean(text, choices) ?? `Choose one of: ${choices.join(', ')}.`,
  })
}

function checkedList(spec: OptionSpec, items: readonly string[], place: string): readonly string[] {
  const { choices } = spec
  const wrong = choices === undefined ? undefined : items.find((item) => !choices.includes(item))
  if (wrong === undefined) return items
  throw new CacheError('usage', `${place}: "${wrong}" is none of ${choices?.join(', ')}.`)
}

function mapOf(pairs: readonly string[], place: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=')
      if (equals > 0) return [pair.slice(0, equals), pair.slice(equals + 1)]
      throw new CacheError('usage', `${place}: "${pair}" is not NAME=VALUE.`, {
        hint: `Write it as: ${place} NAME=VALUE`,
      })
    }),
  )
}
