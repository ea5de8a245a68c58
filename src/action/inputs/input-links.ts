import type { CrossedLink, Resolution } from './input-link.ts'
import { shown } from './input-listing-errors.ts'
import { Role } from './input-roles.ts'
import type { ListedPaths } from './listed-paths.ts'

/** The links that lead to inputs: each is one itself, and what it points to is still to be taken. */
export class InputLinks {
  readonly #paths: ListedPaths
  /** Those that may be absolute or leave the root; empty for all. */
  readonly #allowed: readonly string[]
  readonly #pending: string[] = []

  constructor(paths: ListedPaths, allowed: readonly string[]) {
    this.#paths = paths
    this.#allowed = allowed
  }

  /** The next link to follow. More come while they are followed: what a link leads to may hold links. */
  next(): string | undefined {
    return this.#pending.shift()
  }

  /** Of each its text counts, and what it points to. */
  cross(links: readonly CrossedLink[]): void {
    for (const { path, text, stats } of links) {
      if (this.#paths.isInput(path)) continue
      if (text.includes('\uFFFD')) this.#paths.refuse(`the text of the link ${shown(path)} is not UTF-8`)
      this.#paths.add(path, stats, Role.input, text)
      this.#pending.push(path)
    }
  }

  refuse(path: string, resolution: Resolution | undefined): void {
    const last = resolution?.links.at(-1)?.path ?? path
    const isAllowed = (link: string): boolean =>
      this.#allowed.some((allowed) => allowed === '' || link === allowed || link.startsWith(`${allowed}/`))
    if (isAllowed(path) || isAllowed(last)) return
    this.#paths.refuse(
      `the link ${shown(last)} is absolute, leaves the root, or leads into .git (--allow-link ${shown(last)} accepts it)`,
    )
  }
}
