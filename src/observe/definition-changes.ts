/** What differs between two definitions of a task, each as canonical JSON, or empty where there was none. */
export function definitionChanges(
  before: string,
  after: string,
): (
  | { readonly part: 'definition'; readonly members: readonly string[] }
  | { readonly part: 'dependency'; readonly name: string }
)[] {
  const [old, now] = [membersOf(before), membersOf(after)]
  const names = [...new Set([...old.keys(), ...now.keys()])].filter((name) => old.get(name) !== now.get(name))
  const members = names.filter((name) => name !== DEPENDENCIES)
  const dependencies = names.includes(DEPENDENCIES) ? changedDependencies(old, now) : []
  return [
    // Definitions that cannot be told apart by their members differ all the same.
    ...(members.length > 0 || dependencies.length === 0 ? [{ part: 'definition' as const, members }] : []),
    ...dependencies.map((name) => ({ part: 'dependency' as const, name })),
  ]
}

/** Pairs of a task's name and its key. */
const DEPENDENCIES = 'dependencies'

/** Member → its JSON. */
function membersOf(definition: string): Map<string, string> {
  const parsed = definition === '' ? {} : parse(definition)
  return new Map(Object.entries(parsed ?? {}).map(([name, value]) => [name, JSON.stringify(value)]))
}

function changedDependencies(old: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string[] {
  const [was, is] = [keysByTask(old), keysByTask(now)]
  return [...new Set([...was.keys(), ...is.keys()])].filter((name) => was.get(name) !== is.get(name))
}

function keysByTask(members: ReadonlyMap<string, string>): Map<string, string> {
  const pairs: unknown = parse(members.get(DEPENDENCIES) ?? '[]')
  return new Map(
    Array.isArray(pairs) ? pairs.filter(Array.isArray).map(([name, key]) => [String(name), String(key)]) : [],
  )
}

function parse(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
