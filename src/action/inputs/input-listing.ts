import { type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, posix } from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { InputSelection } from '../request.ts'
import type { IgnoreRules } from './gitignore.ts'
import { compileGlob } from './glob.ts'
import { implicitInputs } from './implicit-inputs.ts'
import { choicePattern, InputChoice, NONE } from './input-choice.ts'
import { type CrossedLink, isGitName, type Resolution, resolveInside } from './input-link.ts'
import { shown, unreadable } from './input-listing-errors.ts'
import { type InputPattern, parsePatterns } from './input-pattern.ts'
import {
  findTop,
  NO_REPOSITORY,
  openRepository,
  pathInRepository,
  type Repository,
  readIgnoreFile,
  rulesFromAbove,
} from './input-repository.ts'
import { Role } from './input-roles.ts'

export interface ListedPath {
  /** Root-relative; `.` for the root, and with `..` for what decides from above it. */
  readonly path: string
  /** Undefined: nothing is there, and if something comes, the inputs may be others. */
  readonly stats: Stats | undefined
  readonly role: number
  /** Of a symlink. */
  readonly text: string | undefined
}

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

/** What holds in a folder and is handed down. */
interface FolderState {
  readonly repository: Repository
  readonly rules: IgnoreRules
  /** It, or a folder that it is in, is ignored. */
  readonly isIgnored: boolean
  /** An ignored folder that was named outright: all in it counts. */
  readonly isOutright: boolean
  /** The last pattern that matched it or a folder that it is in. */
  readonly match: number
}

const QUIET = { throwIfNoEntry: false } as const

class Lister {
  readonly #selection: InputSelection
  readonly #place: ListingPlace
  readonly #base: string
  readonly #paths = new Map<string, ListedPath>()
  readonly #unselected = new Set<string>()
  readonly #states = new Map<string, FolderState>()
  readonly #walked = new Set<string>()
  readonly #links: string[] = []
  readonly #repositories: { top: string; mark: string }[] = []
  readonly #isOutput: (path: string) => boolean
  readonly #allowedLinks: readonly string[]
  #choice: InputChoice | undefined
  #reason: string | undefined

  constructor(selection: InputSelection, place: ListingPlace) {
    this.#selection = selection
    this.#place = place
    this.#base = place.root.endsWith('/') ? place.root : `${place.root}/`
    this.#isOutput = outputMatcher(place.outputs)
    this.#allowedLinks = parsePatterns(selection.allowLinks, place).patterns.map((pattern) => pattern.path)
  }

  async run(): Promise<void> {
    await this.#openRoot()
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
    if (this.#reason !== undefined) return { kind: 'unkeyable', reason: this.#reason }
    // The identity of a listed folder says already that a name is still missing in it.
    for (const [path, { stats }] of this.#paths) {
      const parent = this.#paths.get(dirname(path))
      if (stats === undefined && parent !== undefined && (parent.role & Role.listed) !== 0) this.#paths.delete(path)
    }
    // So that outputs which come and go are not taken for new inputs.
    for (const { kind, path } of this.#place.outputs) if (kind === 'path') this.#unselected.add(path).add(`${path}/`)
    return {
      kind: 'listed',
      listing: { paths: this.#paths, unselected: this.#unselected, repositories: this.#repositories },
    }
  }

  /** Finds the repository that the root is in, and the rules from above it. */
  async #openRoot(): Promise<void> {
    const { root, signal } = this.#place
    let repository: Repository | undefined
    let isIgnored = false
    if (this.#selection.gitignore || this.#selection.patterns === undefined) {
      const { top, searched } = findTop(root)
      for (const folder of searched) this.#decides(`${posix.relative(root, folder) || '.'}/.git`.replace(/^\.\//, ''))
      if (top !== undefined) repository = await openRepository(root, top, signal)
      if (repository?.above && repository.tracked.size === 0) {
        const rules = rulesFromAbove(root, repository)
        isIgnored = rules.ignores(repository.above)
      }
    }
    // A repository that ignores the root (dotfiles kept in HOME with a rule `*`) has nothing to say about what is in it.
    if (repository === undefined || isIgnored) repository = NO_REPOSITORY
    else this.#watch(repository)
    this.#states.set('', this.#rootState(repository))
  }

  #rootState(repository: Repository): FolderState {
    const { root } = this.#place
    let rules = rulesFromAbove(root, repository)
    const above = repository.above.split('/').slice(0, -1)
    above.forEach((_, i) => void this.#decides(`${'../'.repeat(i + 1)}.gitignore`))
    rules = this.#withIgnoreFile(rules, repository, '')
    return { repository, rules, isIgnored: false, isOutright: false, match: this.#choice?.lastMatch('', NONE) ?? NONE }
  }

  #watch(repository: Repository): void {
    const { inside, above, index, mark } = repository
    const top = inside === '' ? above.replaceAll(/[^/]+\//g, '../') : inside
    this.#repositories.push({ top, mark })
    if (index !== undefined) this.#add(index, this.#lstat(index), Role.index)
  }

  async #walkPatterns(given: readonly string[]): Promise<void> {
    const { patterns, lists } = parsePatterns(given, this.#place)
    for (const list of lists) this.#decides(list)
    const found = patterns.map((pattern) => this.#lookUp(pattern))
    this.#choice = new InputChoice(found.map(({ pattern, exists }) => choicePattern(pattern, exists)))
    // The state of the root was made before there was a choice.
    const root = this.#states.get('') as FolderState
    this.#states.set('', { ...root, match: this.#choice.lastMatch('', NONE) })
    for (const pattern of this.#choice.patterns) {
      if (pattern.negated || pattern.path.split('/').some(isGitName)) continue
      const start = pattern.glob?.base ?? pattern.path
      const stats = this.#lstat(start)
      if (stats === undefined) this.#decides(start)
      else if (stats.isDirectory()) await this.#walk(start, false)
      else if (pattern.glob === undefined) await this.#consider(start, dirname(start), stats.isSymbolicLink())
    }
  }

  /** Takes the links out of a pattern's plain part, so that all paths are real ones. */
  #lookUp(pattern: InputPattern): { pattern: InputPattern; exists: boolean } {
    if (pattern.path === '') return { pattern, exists: true }
    if (pattern.path.split('/').some(isGitName)) return { pattern, exists: false }
    const whole = this.#lstat(pattern.path)
    const globBase = whole === undefined ? compileGlob(pattern.path).base : undefined
    if (whole === undefined) this.#decides(pattern.path)
    const isLink = whole?.isSymbolicLink() === true
    const plain = globBase ?? (isLink ? parentOf(pattern.path) : pattern.path)
    if (plain === '') return { pattern, exists: whole !== undefined }
    const resolution = resolveInside(this.#base, plain)
    this.#cross(resolution.links)
    if (resolution.kind === 'leaves' && !pattern.negated) this.#refuseLink(pattern.path, resolution)
    if (resolution.kind !== 'found') return { pattern, exists: whole !== undefined }
    const path = resolution.path + pattern.path.slice(plain.length)
    return { pattern: { ...pattern, path }, exists: whole !== undefined }
  }

  async #walk(folder: string, everything: boolean): Promise<void> {
    const key = everything ? `${folder}/*` : folder
    if (this.#walked.has(key) || this.#reason !== undefined) return
    this.#walked.add(key)
    this.#place.signal?.throwIfAborted()
    const state = await this.#state(folder)
    // Before the names are read: a name that comes later then shows as a change.
    this.#add(folder === '' ? '.' : folder, this.#lstat(folder), Role.listed)
    for (const entry of this.#read(folder)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (isGitName(entry.name) || this.#base + path === this.#place.cacheDir)
        this.#unselected.add(entry.isDirectory() ? `${path}/` : path)
      else if (entry.isDirectory()) {
        if (await this.#isEntered(path, everything)) {
          if (this.#isUtf8(path)) await this.#walk(path, everything)
        } else this.#unselected.add(`${path}/`)
      } else {
        const isLink = entry.isSymbolicLink()
        if (everything ? !this.#ignores(path, isLink, state) : this.#isTaken(path, isLink, state)) this.#take(path)
        else this.#unselected.add(path)
      }
    }
  }

  async #isEntered(folder: string, everything: boolean): Promise<boolean> {
    if (this.#selection.patterns === undefined && this.#isOutput(folder)) return false
    const state = await this.#state(folder)
    if (everything) return !state.isIgnored
    const isOpen = !state.isIgnored || state.repository.trackedFolders.has(folder)
    const choice = this.#choice
    return isOpen && (choice === undefined || choice.isTaken(state.match) || choice.couldTakeBelow(folder, state.match))
  }

  #isTaken(path: string, isLink: boolean, state: FolderState): boolean {
    const choice = this.#choice
    const isKept = choice?.isOutright(path) || state.repository.tracked.has(path) || !this.#ignores(path, isLink, state)
    if (choice === undefined) return isKept && !this.#isOutput(path)
    if (isKept) choice.saw(path)
    return isKept && choice.isTaken(choice.lastMatch(path, state.match))
  }

  #isIgnored(path: string, state: FolderState): boolean {
    if (!this.#selection.gitignore || state.isOutright) return false
    return state.isIgnored || state.rules.ignores(pathInRepository(state.repository, path))
  }

  /** A rule for folders (`node_modules/`) holds for a link in such a folder's place, too, though git would list it. */
  #ignores(path: string, isLink: boolean, state: FolderState): boolean {
    return this.#isIgnored(path, state) || (isLink && this.#isIgnored(`${path}/`, state))
  }

  /** A file or link that was named, and not come upon in a walk. */
  async #consider(path: string, folder: string, isLink: boolean): Promise<void> {
    if (this.#isTaken(path, isLink, await this.#state(folder === '.' ? '' : folder))) this.#take(path)
  }

  async #state(folder: string): Promise<FolderState> {
    const known = this.#states.get(folder)
    if (known !== undefined) return known
    const state = await this.#makeState(folder, await this.#state(parentOf(folder)))
    this.#states.set(folder, state)
    return state
  }

  async #makeState(folder: string, parent: FolderState): Promise<FolderState> {
    const choice = this.#choice
    const isIgnored = this.#isIgnored(`${folder}/`, parent)
    const isOutright = parent.isOutright || (isIgnored && choice?.isOutright(folder) === true)
    const match = choice?.lastMatch(folder, parent.match) ?? NONE
    let { repository, rules } = parent
    if (isIgnored && !isOutright && !repository.trackedFolders.has(folder)) return { ...parent, match, isIgnored: true }
    const nested = await this.#nestedRepository(folder)
    if (nested !== undefined) {
      repository = nested
      rules = rulesFromAbove(this.#place.root, NO_REPOSITORY)
    }
    return {
      repository,
      rules: this.#withIgnoreFile(rules, repository, folder),
      isIgnored: isIgnored && !isOutright && nested === undefined,
      isOutright,
      match,
    }
  }

  /** A submodule, or a clone inside a clone: another repository's rules and files. */
  async #nestedRepository(folder: string): Promise<Repository | undefined> {
    const { root, signal } = this.#place
    if (!this.#decides(`${folder}/.git`)) return undefined
    const repository = await openRepository(root, this.#base + folder, signal)
    if (repository !== undefined) this.#watch(repository)
    return repository
  }

  #withIgnoreFile(rules: IgnoreRules, repository: Repository, folder: string): IgnoreRules {
    const path = folder === '' ? '.gitignore' : `${folder}/.gitignore`
    if (!this.#selection.gitignore || !this.#decides(path)) return rules
    const text = this.#orUnreadable(path, () => readIgnoreFile(this.#base + folder))
    return text === undefined
      ? rules
      : rules.with(pathInRepository(repository, `${folder}/`).replace(/^\/|\/$/g, ''), text)
  }

  #take(path: string): void {
    if (this.#isInput(path) || !this.#isUtf8(path)) return
    const stats = this.#lstat(path)
    if (stats?.isFile()) this.#add(path, stats, Role.input)
    else if (stats?.isSymbolicLink()) {
      const text = this.#orUnreadable(path, () => readlinkSync(this.#base + path))
      this.#cross([{ path, text, stats }])
    } else if (stats !== undefined) this.#reason ??= `the input ${shown(path)} is ${kindOf(stats)}`
  }

  /** A link that leads to an input is one itself: its text, and what it points to. */
  #cross(links: readonly CrossedLink[]): void {
    for (const { path, text, stats } of links) {
      if (this.#isInput(path)) continue
      if (text.includes('\uFFFD')) this.#reason ??= `the text of the link ${shown(path)} is not UTF-8`
      this.#add(path, stats, Role.input, text)
      this.#links.push(path)
    }
  }

  /** The list grows while it is worked off: what a link leads to may hold links. */
  async #followLinks(): Promise<void> {
    for (let path = this.#links.shift(); path !== undefined; path = this.#links.shift()) await this.#followLink(path)
  }

  async #followLink(path: string): Promise<void> {
    const text = this.#paths.get(path)?.text as string
    if (text.startsWith('/')) return this.#refuseLink(path, undefined)
    const resolution = resolveInside(this.#base, `${parentOf(path)}/${text}`)
    this.#cross(resolution.links)
    if (resolution.kind === 'leaves') this.#refuseLink(path, resolution)
    else if (resolution.kind === 'dangling') {
      if (resolution.path !== undefined) this.#decides(resolution.path)
    } else await this.#join(resolution.path, resolution.stats)
  }

  /** Takes what a link points to, whatever the patterns say of it. */
  async #join(path: string, stats: Stats): Promise<void> {
    if (this.#selection.patterns === undefined && this.#isOutput(path)) return
    if (!stats.isDirectory()) return this.#take(path)
    const state = await this.#state(path)
    if (state.isIgnored) this.#states.set(path, { ...state, isIgnored: false, isOutright: true })
    await this.#walk(path, true)
  }

  #refuseLink(path: string, resolution: Resolution | undefined): void {
    const last = resolution?.links.at(-1)?.path ?? path
    const isAllowed = (link: string): boolean =>
      this.#allowedLinks.some((allowed) => allowed === '' || link === allowed || link.startsWith(`${allowed}/`))
    if (isAllowed(path) || isAllowed(last)) return
    this.#reason ??= `the link ${shown(last)} is absolute, leaves the root, or leads into .git (--allow-link ${shown(last)} accepts it)`
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
    const resolution = resolveInside(this.#base, parentOf(path))
    for (const link of resolution.links) this.#add(link.path, link.stats, Role.decides)
    if (resolution.kind === 'dangling') {
      if (resolution.path !== undefined) this.#decides(resolution.path)
      return false
    }
    const isOutside = resolution.kind === 'leaves'
    const real = isOutside ? path : [resolution.path, posix.basename(path)].filter(Boolean).join('/')
    const stats = this.#lstat(real)
    if (stats === undefined) this.#decides(real)
    else if (isOutside) {
      // Where the link itself is an input, nothing can be below it in the tree.
      const isBelowInput = resolution.links.some((link) => this.#isInput(link.path))
      if (stats.isFile() && !isBelowInput) this.#add(path, stats, Role.input)
    } else if (!stats.isDirectory()) this.#take(real)
    return stats !== undefined
  }

  #refuseUnmatched(): void {
    const [pattern] = this.#selection.allowEmpty ? [] : (this.#choice?.unmatched() ?? [])
    if (pattern === undefined || this.#reason !== undefined) return
    throw new CacheError('input.no-match', `The input ${shown(pattern.given)} matches no file.`, {
      hint: `It is relative to ${this.#place.workingDirectory === '' ? 'the root' : shown(this.#place.workingDirectory)}, and what .gitignore names does not count unless named outright. --allow-empty accepts it.`,
      context: { input: pattern.given },
    })
  }

  /** Takes note of a path on which the choice of inputs depends; true when something is there. */
  #decides(path: string): boolean {
    const stats = this.#lstat(path)
    // A folder's own time changes with each file in it; only whether it is there decides.
    if (stats === undefined || stats.isFile()) this.#add(path, stats, Role.decides)
    return stats !== undefined
  }

  #isInput(path: string): boolean {
    return ((this.#paths.get(path)?.role ?? 0) & Role.input) !== 0
  }

  #add(path: string, stats: Stats | undefined, role: number, text?: string): void {
    const known = this.#paths.get(path)
    this.#paths.set(path, {
      path,
      stats: known?.stats ?? stats,
      role: (known?.role ?? 0) | role,
      text: known?.text ?? text,
    })
  }

  #lstat(path: string): Stats | undefined {
    try {
      return lstatSync(this.#base + path, QUIET)
    } catch (cause) {
      // Below a file there is nothing.
      if (systemCode(cause) === 'ENOTDIR') return undefined
      // It is the folder around it that cannot be searched.
      throw unreadable(parentOf(path) || '.', cause)
    }
  }

  #read(folder: string): readonly Dirent[] {
    return this.#orUnreadable(folder === '' ? '.' : folder, () =>
      readdirSync(this.#base + folder, { withFileTypes: true }),
    )
  }

  /** Decoding puts U+FFFD where bytes are not UTF-8, and different names may then look the same. */
  #isUtf8(path: string): boolean {
    if (!path.includes('\uFFFD')) return true
    const folder = parentOf(path)
    const name = path.slice(folder === '' ? 0 : folder.length + 1)
    const wanted = Buffer.from(name)
    const isThere = readdirSync(this.#base + folder, 'buffer').some((bytes) => wanted.equals(bytes))
    if (!isThere) this.#reason ??= `the name of the input ${shown(path)} is not UTF-8`
    return isThere
  }

  #orUnreadable<T>(path: string, act: () => T): T {
    try {
      return act()
    } catch (cause) {
      throw unreadable(path, cause)
    }
  }
}

function outputMatcher(outputs: readonly OutputDeclaration[]): (path: string) => boolean {
  const tests = outputs.map(({ kind, path }) => {
    const glob = kind === 'glob' ? compileGlob(path) : undefined
    return (tested: string): boolean => glob?.matches(tested) ?? (tested === path || tested.startsWith(`${path}/`))
  })
  return (path) => tests.some((test) => test(path))
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  return stats.isDirectory() ? 'a folder' : 'a device'
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}
