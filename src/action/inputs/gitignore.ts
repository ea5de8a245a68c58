import ignore, { type Ignore } from 'ignore'

/** The rules of the `.gitignore` files from a repository's top folder down to one folder in it. */
export interface IgnoreRules {
  /**
   * Whether a path is ignored by a rule that names it or a folder that it is in. Relative to the repository's top folder,
   * `/` between names; a folder's ends in `/`.
   */
  ignores(path: string): boolean
  /** With the rules of a `.gitignore` in `folder` (relative to the top folder, empty for it) added: they win. */
  with(folder: string, text: string): IgnoreRules
}

/** No rules yet. */
export function noIgnoreRules(): IgnoreRules {
  return new Rules([])
}

/**
 * One matcher for all levels, the rules of deeper files rewritten as rules of the top: so that a deeper file can take back
 * what a higher one ignores, and nothing in an ignored folder can be taken back, as git has it. Case counts on every
 * system, or the same checkout would have other keys on a Mac.
 */
class Rules implements IgnoreRules {
  readonly #lines: readonly string[]
  #matcher: Ignore | undefined

  constructor(lines: readonly string[]) {
    this.#lines = lines
  }

  ignores(path: string): boolean {
    if (this.#lines.length === 0) return false
    this.#matcher ??= ignore({ ignorecase: false, allowRelativePaths: true }).add(this.#lines as string[])
    return this.#matcher.ignores(path)
  }

  with(folder: string, text: string): IgnoreRules {
    const lines = text
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    return lines.length === 0 ? this : new Rules([...this.#lines, ...lines.map((line) => fromTop(folder, line))])
  }
}

function fromTop(folder: string, line: string): string {
  if (folder === '') return line
  const isTakenBack = line.startsWith('!')
  const pattern = isTakenBack ? line.slice(1) : line.replace(/^\\(?=[!#])/, '')
  const slash = pattern.indexOf('/')
  // A slash at the start or in the middle ties a pattern to its folder; else it holds at any depth below.
  const isTied = slash !== -1 && slash < pattern.trimEnd().length - 1
  const prefix = `/${folder.replaceAll(/[\\*?[\]]/g, '\\$&')}/`
  return `${isTakenBack ? '!' : ''}${prefix}${isTied ? pattern.replace(/^\//, '') : `**/${pattern}`}`
}
