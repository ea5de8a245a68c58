import { posix } from 'node:path'
import type { InputSelection } from '../request.ts'
import type { IgnoreRules } from './gitignore.ts'
import { type InputChoice, NONE } from './input-choice.ts'
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
import { type ListedPaths, parentOf } from './listed-paths.ts'

/** What holds in a folder and is handed down. */
export interface FolderState {
  readonly repository: Repository
  readonly rules: IgnoreRules
  /** It, or a folder that it is in, is ignored. */
  readonly isIgnored: boolean
  /** An ignored folder that was named outright: all in it counts. */
  readonly isOutright: boolean
  /** The last pattern that matched it or a folder that it is in. */
  readonly match: number
}

/** Of each folder on the way: which repository it is in, what is ignored there, and which pattern matched it. */
export class FolderStates {
  /** The repositories that were asked, by the root-relative path of their top folder. */
  readonly repositories: { readonly top: string; readonly mark: string }[] = []
  readonly #selection: InputSelection
  readonly #root: string
  readonly #paths: ListedPaths
  readonly #signal: AbortSignal | undefined
  readonly #states = new Map<string, FolderState>()
  #choice: InputChoice | undefined

  constructor(
    selection: InputSelection,
    place: { readonly root: string; readonly signal: AbortSignal | undefined },
    paths: ListedPaths,
  ) {
    this.#selection = selection
    this.#root = place.root
    this.#signal = place.signal
    this.#paths = paths
  }

  /** From here on `match` is by these patterns. */
  choose(choice: InputChoice): void {
    this.#choice = choice
    // The state of the root was made before there was a choice.
    const root = this.#states.get('') as FolderState
    this.#states.set('', { ...root, match: choice.lastMatch('', NONE) })
  }

  /** All in it counts from here on, though it is ignored. */
  takeOutright(folder: string, state: FolderState): void {
    this.#states.set(folder, { ...state, isIgnored: false, isOutright: true })
  }

  async of(folder: string): Promise<FolderState> {
    const known = this.#states.get(folder)
    if (known !== undefined) return known
    const state = await this.#makeState(folder, await this.of(parentOf(folder)))
    this.#states.set(folder, state)
    return state
  }

  /** A rule for folders (`node_modules/`) holds for a link in such a folder's place, too, though git would list it. */
  ignores(path: string, isLink: boolean, state: FolderState): boolean {
    return this.#isIgnored(path, state) || (isLink && this.#isIgnored(`${path}/`, state))
  }

  /** Finds the repository that the root is in, and the rules from above it. */
  async openRoot(): Promise<void> {
    let repository: Repository | undefined
    let isIgnored = false
    if (this.#selection.gitignore || this.#selection.patterns === undefined) {
      const { top, searched } = findTop(this.#root)
      for (const folder of searched)
        this.#paths.decides(`${posix.relative(this.#root, folder) || '.'}/.git`.replace(/^\.\//, ''))
      if (top !== undefined) repository = await openRepository(this.#root, top, this.#signal)
      if (repository?.above && repository.tracked.size === 0) {
        const rules = rulesFromAbove(this.#root, repository)
        isIgnored = rules.ignores(repository.above)
      }
    }
    // A repository that ignores the root (dotfiles kept in HOME with a rule `*`) has nothing to say about what is in it.
    if (repository === undefined || isIgnored) repository = NO_REPOSITORY
    else this.#watch(repository)
    this.#states.set('', this.#rootState(repository))
  }

  #rootState(repository: Repository): FolderState {
    let rules = rulesFromAbove(this.#root, repository)
    const above = repository.above.split('/').slice(0, -1)
    above.forEach((_, i) => void this.#paths.decides(`${'../'.repeat(i + 1)}.gitignore`))
    rules = this.#withIgnoreFile(rules, repository, '')
    return { repository, rules, isIgnored: false, isOutright: false, match: this.#choice?.lastMatch('', NONE) ?? NONE }
  }

  #watch(repository: Repository): void {
    const { inside, above, index, mark } = repository
    const top = inside === '' ? above.replaceAll(/[^/]+\//g, '../') : inside
    this.repositories.push({ top, mark })
    if (index !== undefined) this.#paths.add(index, this.#paths.lstat(index), Role.index)
  }

  #isIgnored(path: string, state: FolderState): boolean {
    if (!this.#selection.gitignore || state.isOutright) return false
    return state.isIgnored || state.rules.ignores(pathInRepository(state.repository, path))
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
      rules = rulesFromAbove(this.#root, NO_REPOSITORY)
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
    if (!this.#paths.decides(`${folder}/.git`)) return undefined
    const repository = await openRepository(this.#root, this.#paths.base + folder, this.#signal)
    if (repository !== undefined) this.#watch(repository)
    return repository
  }

  #withIgnoreFile(rules: IgnoreRules, repository: Repository, folder: string): IgnoreRules {
    const path = folder === '' ? '.gitignore' : `${folder}/.gitignore`
    if (!this.#selection.gitignore || !this.#paths.decides(path)) return rules
    const text = this.#paths.orUnreadable(path, () => readIgnoreFile(this.#paths.base + folder))
    return text === undefined
      ? rules
      : rules.with(pathInRepository(repository, `${folder}/`).replace(/^\/|\/$/g, ''), text)
  }
}
