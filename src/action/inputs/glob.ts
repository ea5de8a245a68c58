import picomatch from 'picomatch'

/** A glob relative to the root, made ready to steer a walk. */
export interface Glob {
  matches(path: string): boolean
  /** Whether something below `folder` could match: false spares the walk a whole tree. */
  couldMatchBelow(folder: string): boolean
  /** The folder that everything it can match is in: its first names, as far as they are plain. Empty for the root. */
  readonly base: string
}

/** Dotfiles are matched like all others: leaving an input out is the worse mistake. Case counts. */
const OPTIONS = { dot: true, nonegate: true } as const

/** A wildcard that is not quoted. */
const SPECIAL = /(?<!\\)[*?[\]{}()!+@|]/

/** Whether a pattern could mean something else than its own text. */
export function hasWildcard(pattern: string): boolean {
  return SPECIAL.test(pattern) || pattern.includes('\\')
}

export function compileGlob(pattern: string): Glob {
  const matches = picomatch(pattern, OPTIONS)
  const segments = splitSegments(pattern)
  const plain = segments.findIndex((segment) => hasWildcard(segment))
  const base = segments.slice(0, plain === -1 ? -1 : plain)
  // From the first `**`, or the first segment that could span several names, any depth is possible.
  const open = segments.findIndex((segment) => segment.includes('**') || segment.includes('/'))
  const steps = segments.slice(0, open === -1 ? segments.length : open).map((segment) => picomatch(segment, OPTIONS))
  return {
    matches: (path) => matches(path),
    base: base.join('/'),
    couldMatchBelow(folder) {
      if (folder === '') return true
      const names = folder.split('/')
      if (open === -1 && names.length >= segments.length) return false
      return steps.every((step, i) => i >= names.length || step(names[i] as string))
    },
  }
}

/** Splits at slashes outside brackets: what a bracket holds may match across folders, and stays in one piece. */
function splitSegments(pattern: string): string[] {
  const segments: string[] = []
  let depth = 0
  let from = 0
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]
    if (char === '\\') i++
    else if (char === '{' || char === '(' || char === '[') depth++
    else if (char === '}' || char === ')' || char === ']') depth = Math.max(0, depth - 1)
    else if (char === '/' && depth === 0) {
      segments.push(pattern.slice(from, i))
      from = i + 1
    }
  }
  return [...segments, pattern.slice(from)]
}
