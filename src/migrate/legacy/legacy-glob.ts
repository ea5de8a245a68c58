/**
 * The patterns of old task files, which are those of Rust's globset 0.4 as it comes: `*` and `?` cross `/`, nothing hidden
 * is left out, case matters, and a pattern matches the whole path.
 */
export function legacyGlob(patterns: readonly string[]): (relativePath: string) => boolean {
  const expressions = patterns.map((pattern) => new RegExp(`^${expressionOf(pattern)}$`, 'su'))
  return (relativePath) => expressions.some((expression) => expression.test(relativePath))
}

function expressionOf(pattern: string): string {
  if (pattern === '**') return '.*'
  let expression = ''
  let depth = 0
  for (let at = 0; at < pattern.length; ) {
    const recursive = recursiveAt(pattern, at)
    if (recursive !== undefined) {
      expression += recursive.expression
      at += recursive.length
      continue
    }
    const character = String.fromCodePoint(pattern.codePointAt(at) as number)
    at += character.length
    if (character === '*') expression += '.*'
    else if (character === '?') expression += '.'
    else if (character === '{') {
      expression += '(?:'
      depth++
    } else if (character === '}' && depth > 0) {
      expression += ')'
      depth--
    } else if (character === ',' && depth > 0) expression += '|'
    else if (character === '[' && pattern.indexOf(']', at + 1) !== -1) {
      const end = endOfClass(pattern, at)
      expression += classOf(pattern.slice(at, end))
      at = end + 1
    } else if (character === '\\' && at < pattern.length) {
      expression += literal(pattern[at] as string)
      at++
    } else expression += literal(character)
  }
  return expression
}

/** Folders in any number: before all, between two slashes, after all. Elsewhere `**` is two stars. */
function recursiveAt(pattern: string, at: number): { expression: string; length: number } | undefined {
  if (at === 0 && pattern.startsWith('**/')) return { expression: '(?:/?|.*/)', length: 3 }
  if (pattern.startsWith('/**/', at)) return { expression: '(?:/|/.*/)', length: 4 }
  if (pattern.slice(at) === '/**') return { expression: '/.*', length: 3 }
  return undefined
}

/** A `]` that comes first, or first after the negation, is a member. */
function endOfClass(pattern: string, start: number): number {
  const first = pattern[start] === '!' || pattern[start] === '^' ? start + 1 : start
  return pattern.indexOf(']', first + 1)
}

function classOf(members: string): string {
  const isNegated = members.startsWith('!') || members.startsWith('^')
  const text = (isNegated ? members.slice(1) : members).replaceAll(/[\\\][^&~|]/g, '\\$&')
  return `[${isNegated ? '^' : ''}${text}]`
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
}
