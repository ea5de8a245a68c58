import { lstatSync, readdirSync } from 'node:fs'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { globMatcher } from './output-globs.ts'

export interface StrayOptions {
  /** Unix time at which the command was started. */
  readonly sinceMs: number
  readonly outputs: readonly OutputDeclaration[]
  /** Root-relative globs of files that may be left anywhere without being told on. */
  readonly scratch: readonly string[]
  /** Inputs that changed are another matter, told by who made the key. */
  isInput(path: string): boolean
}

/** Files are stamped with the time of the kernel's last tick, which may lie so far before the command began. */
const TICK_MS = 10
/** Caches that tools keep for themselves. */
const ALWAYS_SCRATCH = ['**/node_modules/.cache/**']

/**
 * Root-relative files and links that were made or changed while a command ran, outside of what it declared; sorted. Looks
 * at every file of the root but git's own and the cache's, and follows no links: only worth it after a command ran.
 */
export async function strays(
  { root, cacheDir }: Pick<Workspace, 'root' | 'cacheDir'>,
  options: StrayOptions,
): Promise<readonly string[]> {
  const found: string[] = []
  const isExpected = await expectation(options)
  const pending = ['']
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of list(folder === '' ? root : `${root}/${folder}`)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (entry.name !== '.git' && `${root}/${path}` !== cacheDir && !isExpected(`${path}/.`)) pending.push(path)
      } else if (changedSince(`${root}/${path}`, options.sinceMs) && !isExpected(path) && !options.isInput(path)) {
        found.push(path)
      }
    }
  }
  return found.sort()
}

/** A folder is asked about as `folder/.`, which a glob for all in it matches as well. */
async function expectation({ outputs, scratch }: StrayOptions): Promise<(path: string) => boolean> {
  const globs = outputs.filter(({ kind }) => kind === 'glob').map(({ path }) => path)
  const matches = await globMatcher([...ALWAYS_SCRATCH, ...scratch, ...globs])
  const literals = outputs.filter(({ kind }) => kind === 'path').map(({ path }) => path)
  return (path) => literals.some((literal) => path === literal || path.startsWith(`${literal}/`)) || matches(path)
}

function changedSince(absolute: string, sinceMs: number): boolean {
  const stats = lstatSync(absolute, { throwIfNoEntry: false })
  return stats !== undefined && Math.max(stats.mtimeMs, stats.ctimeMs) >= sinceMs - TICK_MS
}

function list(absolute: string) {
  try {
    return readdirSync(absolute, { withFileTypes: true })
  } catch {
    return []
  }
}
