import type { EnvironmentSelection } from '../request.ts'
import { CI_NAMES, KEYED_NAMES, PASSED_NAMES, PLATFORM_NAMES, SECRET_NAME } from './environment-names.ts'
import type { ChildEnvironment } from './keyed-action.ts'

/** A variable that is part of the key. The value is for the child and for hashing: never stored, never printed. */
export interface KeyedVariable {
  readonly name: string
  readonly value: string
}

export interface SelectedEnvironment {
  readonly child: ChildEnvironment
  /** Sorted by name. What is unset is not among them, so unset and empty differ. */
  readonly keyed: readonly KeyedVariable[]
}

/**
 * What the command gets of the environment: an allowlist, so that nothing outside the key can change the result unseen.
 * `platform` is for tests: on Windows names are compared without case.
 */
export function childEnvironment(
  selection: EnvironmentSelection,
  platform: NodeJS.Platform = process.platform,
): SelectedEnvironment {
  const fold = platform === 'win32'
  const asked = nameMatcher(selection.keyed, fold)
  const keyedByDefault = nameMatcher(KEYED_NAMES, fold)
  const passed = nameMatcher(
    [...PASSED_NAMES, ...CI_NAMES, ...(PLATFORM_NAMES[platform] ?? []), ...selection.passed],
    fold,
  )
  const fixed = fixedVariables(selection.normalize)
  const variables: Record<string, string> = {}
  const keyed: KeyedVariable[] = []
  const withheld: string[] = []
  const suspicious: string[] = []
  for (const name of Object.keys(selection.source)) {
    const value = selection.source[name]
    if (value === undefined || fixed.replaces(name)) continue
    const isAsked = asked(name)
    if (isAsked && SECRET_NAME.test(name)) suspicious.push(name)
    if (isAsked || keyedByDefault(name)) keyed.push({ name, value })
    else if (!passed(name)) {
      withheld.push(name)
      continue
    }
    variables[name] = value
  }
  for (const variable of fixed.variables) {
    variables[variable.name] = variable.value
    keyed.push(variable)
  }
  keyed.sort((a, b) => (a.name < b.name ? -1 : 1))
  return { child: { variables, withheld: withheld.sort(), suspicious: suspicious.sort() }, keyed }
}

/** True for names in the list; `*` in a pattern stands for any characters. Asked some hundred times on every hit. */
function nameMatcher(patterns: readonly string[], fold: boolean): (name: string) => boolean {
  const exact = new Set<string>()
  // `XDG_*`: found by the name up to each of its underscores, not by trying one prefix after the other.
  const prefixes = new Set<string>()
  const others: RegExp[] = []
  for (const given of patterns) {
    const pattern = fold ? given.toUpperCase() : given
    if (!pattern.includes('*')) exact.add(pattern)
    else if (pattern.indexOf('*') === pattern.length - 1 && pattern.endsWith('_*')) prefixes.add(pattern.slice(0, -1))
    else others.push(new RegExp(`^${pattern.split('*').map(RegExp.escape).join('.*')}$`, 's'))
  }
  return (given) => {
    const name = fold ? given.toUpperCase() : given
    if (exact.has(name)) return true
    for (let i = name.indexOf('_'); i !== -1; i = name.indexOf('_', i + 1))
      if (prefixes.has(name.slice(0, i + 1))) return true
    return others.length > 0 && others.some((other) => other.test(name))
  }
}

/** What is the same for everybody, whatever the caller's own settings. */
function fixedVariables(normalize: EnvironmentSelection['normalize']): {
  replaces(name: string): boolean
  variables: readonly KeyedVariable[]
} {
  const locale = normalize.includes('locale')
  const timezone = normalize.includes('timezone')
  return {
    replaces: (name) =>
      (locale && (name === 'LANG' || name === 'LANGUAGE' || name.startsWith('LC_'))) || (timezone && name === 'TZ'),
    variables: [
      ...(locale
        ? [
            { name: 'LANG', value: 'C.UTF-8' },
            { name: 'LC_ALL', value: 'C.UTF-8' },
          ]
        : []),
      ...(timezone ? [{ name: 'TZ', value: 'UTC' }] : []),
    ],
  }
}
