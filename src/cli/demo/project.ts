/** Something real to build, that is on this machine already. */
export interface DemoProject {
  /** `Zod 4.6.7, compiled by TypeScript 7.0.2`. */
  readonly title: string
  /** As one would type it. */
  readonly argv: readonly [string, ...string[]]
  readonly inputs: readonly string[]
  readonly output: string
  /** The file that is changed in the last step; a line of this is added to it. */
  readonly touched: { readonly path: string; readonly line: string }
  /** Folders that come first in PATH. */
  readonly path: readonly string[]
  /** Makes the project in an empty folder. */
  make(folder: string): void
}
