import { compileGlob, type Glob, hasWildcard } from './glob.ts'
import type { InputPattern } from './input-pattern.ts'

/** One pattern after it was looked up in the tree: a plain path or a glob. */
export interface ChoicePattern extends InputPattern {
  /** Undefined for a plain path, which stands for itself and all in it. */
  readonly glob: Glob | undefined
}

/** A pattern that has wildcards is a plain path all the same when something of that very name is there. */
export function choicePattern(pattern: InputPattern, exists: boolean): ChoicePattern {
  return { ...pattern, glob: !exists && hasWildcard(pattern.path) ? compileGlob(pattern.path) : undefined }
}

/** No pattern matches. */
export const NONE = -1

/**
 * Decides by patterns, the last match winning. A pattern that matches a folder matches all in it, so what a folder got is
 * handed down to its children as `inherited`: the index of the last pattern that matched it, or {@link NONE}.
 */
export class InputChoice {
  readonly patterns: readonly ChoicePattern[]
  readonly #outright: ReadonlySet<string>
  readonly #unmatched: Set<number>

  constructor(patterns: readonly ChoicePattern[]) {
    this.patterns = patterns
    this.#outright = new Set(patterns.filter((p) => !p.negated && p.glob === undefined).map((p) => p.path))
    this.#unmatched = new Set(patterns.flatMap((p, i) => (p.negated ? [] : [i])))
  }

  lastMatch(path: string, inherited: number): number {
    for (let i = this.patterns.length - 1; i > inherited; i--) if (this.#matches(i, path)) return i
    return inherited
  }

  isTaken(match: number): boolean {
    return match !== NONE && !(this.patterns[match] as ChoicePattern).negated
  }

  /** Whether a pattern without wildcards names exactly this path. */
  isOutright(path: string): boolean {
    return this.#outright.has(path)
  }

  /** Whether a glob could take something below a folder that the pattern `match` decided on. */
  couldTakeBelow(folder: string, match: number): boolean {
    const from = this.isTaken(match) ? NONE : match
    return this.patterns.some((p, i) => i > from && !p.negated && p.glob?.couldMatchBelow(folder) === true)
  }

  /** Takes note of a file that is there, so that {@link unmatched} can tell which patterns match none. */
  saw(path: string): void {
    for (const i of this.#unmatched) if (this.#matchesPathOrFolder(i, path)) this.#unmatched.delete(i)
  }

  /** Patterns that have matched no file. */
  unmatched(): readonly ChoicePattern[] {
    return [...this.#unmatched].map((i) => this.patterns[i] as ChoicePattern)
  }

  #matches(i: number, path: string): boolean {
    const { glob, path: plain } = this.patterns[i] as ChoicePattern
    return glob === undefined ? plain === path : glob.matches(path)
  }

  #matchesPathOrFolder(i: number, path: string): boolean {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
      if (this.#matches(i, path.slice(0, end))) return true
    return this.#matches(i, '')
  }
}
