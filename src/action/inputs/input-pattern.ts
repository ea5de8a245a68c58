import { readFileSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'

/** A pattern as it was given, ready to be matched: relative to the root, `/` between names. */
export interface InputPattern {
  /** As the user wrote it, for messages. */
  readonly given: string
  /** Takes away. */
  readonly negated: boolean
  /** Without `!`, `./` and a trailing slash; empty for the root itself. */
  readonly path: string
}

export interface PatternPlace {
  readonly root: string
  readonly workingDirectory: string
}

/**
 * Patterns relative to the working directory as patterns relative to the root. `@file` stands for the lines of a file.
 * Throws `input.outside-root` and, for a list that cannot be read, `input.unreadable`. `lists` are the list files that were
 * read, relative to the root: when one of them changes, the patterns do.
 */
export function parsePatterns(
  given: readonly string[],
  place: PatternPlace,
): { readonly patterns: readonly InputPattern[]; readonly lists: readonly string[] } {
  const lists: string[] = []
  const patterns: InputPattern[] = []
  for (const text of given) {
    if (text.startsWith('@') && text.length > 1) {
      const { path, lines } = readList(text, place)
      lists.push(path)
      for (const line of lines) patterns.push(parsePattern(line, place))
    } else patterns.push(parsePattern(text, place))
  }
  return { patterns, lists }
}

function readList(text: string, place: PatternPlace): { path: string; lines: readonly string[] } {
  const path = resolve(place.root, place.workingDirectory, text.slice(1))
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/)
    return { path: slashed(relative(place.root, path)), lines: lines.filter((line) => line !== '') }
  } catch (cause) {
    throw new CacheError('input.unreadable', `The list of inputs ${text} cannot be read: ${systemCode(cause)}.`, {
      hint: 'After @ comes the path of a file with one pattern a line. A name that begins with @ is written ./@name.',
      cause,
      context: { path },
    })
  }
}

function parsePattern(given: string, place: PatternPlace): InputPattern {
  const negated = given.startsWith('!') && given.length > 1
  const text = negated ? given.slice(1) : given
  if (text === '')
    throw new CacheError('usage', 'An input is empty.', { hint: 'The working directory itself is written as a dot.' })
  const path = isAbsolute(text)
    ? fromAbsolute(text, place.root)
    : normalise(`${place.workingDirectory}/${slashed(text)}`)
  if (path === undefined)
    throw new CacheError('input.outside-root', `The input ${given} lies outside the root ${place.root}.`, {
      hint: 'Give a --root that contains it.',
      context: { input: given },
    })
  return { given, negated, path }
}

function fromAbsolute(path: string, root: string): string | undefined {
  const fromRoot = slashed(relative(root, path))
  return isAbsolute(fromRoot) ? undefined : normalise(fromRoot)
}

/** Undefined for a path that leaves the folder it is relative to. */
function normalise(path: string): string | undefined {
  const names: string[] = []
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue
    if (name !== '..') names.push(name)
    else if (names.pop() === undefined) return undefined
  }
  return names.join('/')
}

/** On Windows people write both; elsewhere a backslash may be part of a name, or quote a character of a glob. */
function slashed(path: string): string {
  return process.platform === 'win32' ? path.replaceAll('\\', '/') : path
}
