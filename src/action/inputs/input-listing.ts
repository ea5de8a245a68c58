import { dirname, posix } from 'node:path'
import { CacheError } from '../../errors.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { InputSelection } from '../request.ts'
import type { FileView, SeenStats } from './file-view.ts'
import { type FolderState, FolderStates } from './folder-states.ts'
import { compileGlob } from './glob.ts'
import { implicitInputs } from './implicit-inputs.ts'
import { choicePattern, InputChoice } from './input-choice.ts'
import { isGitName, resolveInside } from './input-link.ts'
import { InputLinks } from './input-links.ts'
import { shown } from './input-listing-errors.ts'
import { type InputPattern, parsePatterns } from './input-pattern.ts'
import { Role } from './input-roles.ts'
import { type ListedPath, ListedPaths, parentOf } from './listed-paths.ts'

export interface Listing {
  /** By path, in no order. */
  readonly paths: ReadonlyMap<string, ListedPath>
  /** What is in listed folders and is no input; folders end in a slash. */
  readonly unselected: ReadonlySet<string>
  /** The repositories that were asked, by the root-relative path of their top folder. */
  readonly repositories: readonly { readonly top: string; readonly mark: string }[]
}

export interface ListingPlace {
  /** Absolute. */
  readonly root: string
  readonly workingDirectory: string
  readonly outputs: readonly OutputDeclaration[]
  /** Absolute; where it lies in the root, nothing in it is ever an input. */
  readonly cacheDir: string
  readonly signal: AbortSignal | undefined
  /** What is there, unless said. */
  readonly files?: FileView | undefined
}

/**
 * Finds the inputs that a selection means. Follows links inside the root to what they point to, never outside. `unkeyable`
 * is one line; mistakes of the user are thrown (`input.no-match`, `input.outside-root`, `input.unreadable`).
 */
export async function listInputs(
  selection: InputSelection,
  place: ListingPlace,
): Promise<{ kind: 'listed'; listing: Listing } | { kind: 'unkeyable'; reason: string }> {
  const lister = new Lister(selection, place)
  await lister.run()
  return lister.outcome()
}

class Lister {
  readonly #selection: InputSelection
  readonly #place: ListingPlace
  readonly #paths: ListedPaths
  readonly #folders: FolderStates
  readonly #links: InputLinks
  readonly #walked = new Set<string>()
  readonly #isOutput: (path: string) => boolean
  #choice: InputChoice | undefined

  constructor(selection: InputSelection, place: ListingPlace) {
    this.#selection = selection
    this.#place = place
    this.#paths = new ListedPaths(place.root, place.files)
    this.#folders = new FolderStates(selection, place, this.#paths)
    const allowed = parsePatterns(selection.allowLinks, place).patterns
    this.#links = new InputLinks(
      this.#paths,
      allowed.map((pattern) => pattern.path),
    )
    this.#isOutput = outputMatcher(place.outputs)
  }

  async run(): Promise<void> {
    await this.#folders.openRoot()
    if (this.#selection.patterns === undefined) await this.#walk('', false)
    else await this.#walkPatterns(this.#selection.patterns)
    await this.#followLinks()
    if (this.#selection.implicit) {
      this.#addImplicit()
      await this.#followLinks()
    }
    this.#refuseUnmatched()
  }

  outcome(): { kind: 'listed'; listing: Listing } | { kind: 'unkeyable'; reason: string } {
    const { refusal, unselected } = this.#paths
    if (refusal !== undefined) return { kind: 'unkeyable', reason: refusal }
    // So that outputs which come and go are not taken for new inputs.
    for (const { kind, path } of this.#place.outputs) if (kind === 'path') unselected.add(path).add(`${path}/`)
    return {
      kind: 'listed',
      listing: { paths: this.#paths.all(), unselected, repositories: this.#folders.repositories },
    }
  }

  async #walkPatterns(given: readonly string[]): Promise<void> {
    const { patterns, lists } = parsePatterns(given, this.#place)
    for (const list of lists) this.#paths.decides(list)
    const found = patterns.map((pattern) => this.#lookUp(pattern))
    this.#choice = new InputChoice(found.map(({ pattern, exists }) => choicePattern(pattern, exists)))
    this.#folders.choose(this.#choice)
    for (const pattern of this.#choice.patterns) {
      if (pattern.negated || pattern.path.split('/').some(isGitName)) continue
      const start = pattern.glob?.base ?? pattern.path
      const stats = this.#paths.lstat(start)
      if (stats === undefined) this.#paths.decides(start)
      else if (stats.isDirectory()) await this.#walk(start, false)
      else if (pattern.glob === undefined) await this.#consider(start, dirname(start), stats.isSymbolicLink())
    }
  }

  /** Takes the links out of a pattern's plain part, so that all paths are real ones. */
  #lookUp(pattern: InputPattern): { pattern: InputPattern; exists: boolean } {
    if (pattern.path === '') return { pattern, exists: true }
    if (pattern.path.split('/').some(isGitName)) return { pattern, exists: false }
    const whole = this.#paths.lstat(pattern.path)
    const globBase = whole === undefined ? compileGlob(pattern.path).base : undefined
    if (whole === undefined) this.#paths.decides(pattern.path)
    const isLink = whole?.isSymbolicLink() === true
    const plain = globBase ?? (isLink ? parentOf(pattern.path) : pattern.path)
    if (plain === '') return { pattern, exists: whole !== undefined }
    const resolution = resolveInside(this.#paths.files, plain)
    this.#links.cross(resolution.links)
    if (resolution.kind === 'leaves' && !pattern.negated) this.#links.refuse(pattern.path, resolution)
    if (resolution.kind !== 'found') return { pattern, exists: whole !== undefined }
    const rest = pattern.path.slice(plain.length)
    // A link to the root itself has nothing before it.
    const path = resolution.path === '' ? rest.slice(1) : resolution.path + rest
    return { pattern: { ...pattern, path }, exists: whole !== undefined }
  }

  async #walk(folder: string, everything: boolean): Promise<void> {
    const key = everything ? `${folder}/*` : folder
    if (this.#walked.has(key) || this.#paths.refusal !== undefined) return
    this.#walked.add(key)
    this.#place.signal?.throwIfAborted()
    const state = await this.#folders.of(folder)
    // Before the names are read: a name that comes later then shows as a change.
    this.#paths.add(folder === '' ? '.' : folder, this.#paths.lstat(folder), Role.listed)
    for (const entry of this.#paths.read(folder)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (isGitName(entry.name) || this.#paths.base + path === this.#place.cacheDir)
        this.#paths.unselected.add(entry.isDirectory() ? `${path}/` : path)
      else if (entry.isDirectory()) {
        if (await this.#isEntered(path, everything)) {
          if (this.#paths.isUtf8(path)) await this.#walk(path, everything)
        } else this.#paths.unselected.add(`${path}/`)
      } else {
        const isLink = entry.isSymbolicLink()
        if (everything ? !this.#folders.ignores(path, isLink, state) : this.#isTaken(path, isLink, state))
          this.#take(path)
        else this.#paths.unselected.add(path)
      }
    }
  }

  async #isEntered(folder: string, everything: boolean): Promise<boolean> {
    if (this.#selection.patterns === undefined && this.#isOutput(folder)) return false
    const state = await this.#folders.of(folder)
    if (everything) return !state.isIgnored
    const isOpen = !state.isIgnored || state.repository.trackedFolders.has(folder)
    const choice = this.#choice
    return isOpen && (choice === undefined || choice.isTaken(state.match) || choice.couldTakeBelow(folder, state.match))
  }

  #isTaken(path: string, isLink: boolean, state: FolderState): boolean {
    const choice = this.#choice
    const isKept =
      choice?.isOutright(path) || state.repository.tracked.has(path) || !this.#folders.ignores(path, isLink, state)
    if (choice === undefined) return isKept && !this.#isOutput(path)
    if (isKept) choice.saw(path)
    return isKept && choice.isTaken(choice.lastMatch(path, state.match))
  }

  /** A file or link that was named, and not come upon in a walk. */
  async #consider(path: string, folder: string, isLink: boolean): Promise<void> {
    if (this.#isTaken(path, isLink, await this.#folders.of(folder === '.' ? '' : folder))) this.#take(path)
  }

  #take(path: string): void {
    if (this.#paths.isInput(path) || !this.#paths.isUtf8(path)) return
    const stats = this.#paths.lstat(path)
    if (stats?.isFile()) this.#paths.add(path, stats, Role.input)
    else if (stats?.isSymbolicLink()) {
      const text = this.#paths.orUnreadable(path, () => this.#paths.files.readlink(path))
      this.#links.cross([{ path, text, stats }])
    } else if (stats !== undefined) this.#paths.refuse(`the input ${shown(path)} is ${kindOf(stats)}`)
  }

  async #followLinks(): Promise<void> {
    for (let path = this.#links.next(); path !== undefined; path = this.#links.next()) await this.#followLink(path)
  }

  async #followLink(path: string): Promise<void> {
    const text = this.#paths.get(path)?.text as string
    if (text.startsWith('/')) return this.#links.refuse(path, undefined)
    const resolution = resolveInside(this.#paths.files, `${parentOf(path)}/${text}`)
    this.#links.cross(resolution.links)
    if (resolution.kind === 'leaves') this.#links.refuse(path, resolution)
    else if (resolution.kind === 'dangling') {
      if (resolution.path !== undefined) this.#paths.decides(resolution.path)
    } else await this.#join(resolution.path, resolution.stats)
  }

  /** Takes what a link points to, whatever the patterns say of it. */
  async #join(path: string, stats: SeenStats): Promise<void> {
    if (this.#selection.patterns === undefined && this.#isOutput(path)) return
    if (!stats.isDirectory()) return this.#take(path)
    const state = await this.#folders.of(path)
    if (state.isIgnored) this.#folders.takeOutright(path, state)
    await this.#walk(path, true)
  }

  #addImplicit(): void {
    for (const alternatives of implicitInputs(this.#place.workingDirectory))
      alternatives.find((path) => !this.#isOutput(path) && this.#addOneImplicit(path))
  }

  /**
   * True when it is there. A link on the way (a `node_modules` shared by worktrees) is no input for that, nor is what else
   * it leads to: only this one file behind it was asked for, wherever it lies.
   */
  #addOneImplicit(path: string): boolean {
    const resolution = resolveInside(this.#paths.files, parentOf(path))
    for (const link of resolution.links) this.#paths.add(link.path, link.stats, Role.decides)
    if (resolution.kind === 'dangling') {
      if (resolution.path !== undefined) this.#paths.decides(resolution.path)
      return false
    }
    const isOutside = resolution.kind === 'leaves'
    const real = isOutside ? path : [resolution.path, posix.basename(path)].filter(Boolean).join('/')
    const stats = this.#paths.lstat(real)
    if (stats === undefined) this.#paths.decides(real)
    else if (isOutside) {
      // Where the link itself is an input, nothing can be below it in the tree.
      const isBelowInput = resolution.links.some((link) => this.#paths.isInput(link.path))
      if (stats.isFile() && !isBelowInput) this.#paths.add(path, stats, Role.input)
    } else if (!stats.isDirectory()) this.#take(real)
    return stats !== undefined
  }

  #refuseUnmatched(): void {
    const [pattern] = this.#selection.allowEmpty ? [] : (this.#choice?.unmatched() ?? [])
    if (pattern === undefined || this.#paths.refusal !== undefined) return
    throw new CacheError('input.no-match', `The input ${shown(pattern.given)} matches no file.`, {
      hint: `It is relative to ${this.#place.workingDirectory === '' ? 'the root' : shown(this.#place.workingDirectory)}, and what .gitignore names does not count unless named outright. --allow-empty accepts it.`,
      context: { input: pattern.given },
    })
  }
}

function outputMatcher(outputs: readonly OutputDeclaration[]): (path: string) => boolean {
  const tests = outputs.map(({ kind, path }) => {
    const glob = kind === 'glob' ? compileGlob(path) : undefined
    return (tested: string): boolean => glob?.matches(tested) ?? (tested === path || tested.startsWith(`${path}/`))
  })
  return (path) => tests.some((test) => test(path))
}

function kindOf(stats: SeenStats): string {
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  return stats.isDirectory() ? 'a folder' : 'a device'
}
