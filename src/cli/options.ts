/** What the text of an option becomes. Lists and maps are given by repeating the option. */
export type OptionKind = 'flag' | 'text' | 'choice' | 'number' | 'size' | 'duration' | 'list' | 'map'

/**
 * One option: the flag, its variable, its place in the config and its line of help are all made from this. The key in
 * its table is the name in camelCase: `maxCacheSize` is `--max-cache-size` and `RECUE_MAX_CACHE_SIZE`.
 *
 * What may be set in a config has a variable. What one command is told to do has none, unless it says so: a variable that
 * is left in the environment of a CI must not turn a look into a repair, or be taken by a command that it was not meant for.
 */
export interface OptionSpec {
  readonly kind: OptionKind
  readonly summary: string
  readonly short?: string
  /** What stands for the value in help. */
  readonly value?: string
  readonly choices?: readonly string[]
  /** Present when nobody says otherwise, as it would be written. A flag whose default is `true` is shown as `--no-…`. */
  readonly default?: string
  /** Its key in the config, where it may be set there. */
  readonly setting?: string
  /** It has a variable, though it is no setting. */
  readonly variable?: true
  /** What its text must look like, as the summary says it. */
  readonly shape?: RegExp
  /** Several may be given, as a list in a config: they are one text, with commas between them. */
  readonly isMany?: true
  /** Numbers, sizes and durations below it are refused. */
  readonly least?: number
  /** The heading it stands under in help. */
  readonly group?: string
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

type ValueOf<Spec extends OptionSpec> = Spec['kind'] extends 'flag'
  ? boolean
  : Spec['kind'] extends 'list'
    ? readonly string[]
    : Spec['kind'] extends 'map'
      ? Readonly<Record<string, string>>
      : Spec['kind'] extends 'number' | 'size' | 'duration'
        ? number
        : string

/** Flags, lists and maps have a value always; the others may be undefined unless they have a default. */
export type Values<Table extends OptionTable> = {
  readonly [Key in keyof Table]:
    | ValueOf<Table[Key]>
    | (Table[Key] extends { default: string } | { kind: 'flag' | 'list' | 'map' } ? never : undefined)
}

/** `maxCacheSize` → `max-cache-size`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

export function hasVariable({ setting, variable }: OptionSpec): boolean {
  return setting !== undefined || variable === true
}

/** A folder or a file, which the empty text is not, though it would be taken for the working directory. */
export function namesPlace({ kind, value }: OptionSpec): boolean {
  return kind === 'text' && (value === 'DIR' || value === 'FILE')
}

/** `maxCacheSize` → `RECUE_MAX_CACHE_SIZE`. */
export function variableName(key: string): string {
  return `RECUE_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** `max-cache-size` → `maxCacheSize`; undefined for what no flag is written like. */
export function keyOfFlag(name: string): string | undefined {
  if (!/^[a-z]+(-[a-z]+)*$/.test(name)) return undefined
  return name.includes('-') ? name.replace(/-./g, (pair) => pair.charAt(1).toUpperCase()) : name
}

/** `RECUE_MAX_CACHE_SIZE` → `maxCacheSize`; undefined for another's variable. */
export function keyOfVariable(name: string): string | undefined {
  return /^RECUE_[A-Z_]+$/.test(name) ? keyOfFlag(name.slice(6).toLowerCase().replaceAll('_', '-')) : undefined
}

/** How the flag is written in help and messages: `--no-clean` where the default is to clean. */
export function flagOf(key: string, spec: OptionSpec): string {
  return spec.kind === 'flag' && spec.default === 'true' ? `--no-${flagName(key)}` : `--${flagName(key)}`
}
