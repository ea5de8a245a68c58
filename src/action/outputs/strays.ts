import { lstatSync, readdirSync } from 'node:fs'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { globMatcher } from './output-globs.ts'
import { lookAt } from './restore-look.ts'

export interface StrayOptions {
  /** Unix time at which the command was started. */
  readonly sinceMs: number
  readonly outputs: readonly OutputDeclaration[]
  /** Root-relative globs of files that may be left anywhere without being told on. */
  readonly scratch: readonly string[]
  /** Inputs that changed are another matter, told by who made the key. */
  isInput(path: string): boolean
  /** Entries that are looked at before it is given up. */
  readonly mostEntries?: number
}

/** Files are stamped with the time of the kernel's last tick, which may lie so far before the command began. */
const TICK_MS = 10
/** Caches that tools keep for themselves. */
const ALWAYS_SCRATCH = [
  '**/node_modules/.cache/**',
  '**/node_modules/.vite*/**',
  '**/node_modules/.vite*',
  '**/node_modules/.vitest*/**',
  '**/node_modules/.vitest*',
]
/** A courtesy after each miss: where a root is so large (`/`, HOME) that it takes longer, nothing is said. */
const MOST_ENTRIES = 200_000
const LONGEST_MS = 2_000

/**
 * Root-relative files and links that were made or changed while a command ran, outside of what it declared; sorted. Looks
 * at every file of the root but git's own and the cache's, follows no links and stays on the root's file system: only worth
 * it after a command ran. Undefined where there are too many to look at.
 */
export async function strays(
  { root, cacheDir }: Pick<Workspace, 'root' | 'cacheDir'>,
  options: StrayOptions,
): Promise<readonly string[] | undefined> {
  const found: string[] = []
  const isExpected = await expectation(options)
  // `/` has its slash already.
  const base = root.endsWith('/') ? root.slice(0, -1) : root
  const isOwn = (name: string, path: string) => name === '.git' || `${base}/${path}` === cacheDir
  const device = deviceOf(root)
  const latest = performance.now() + LONGEST_MS
  let left = options.mostEntries ?? MOST_ENTRIES
  const pending = ['']
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const absolute = folder === '' ? root : `${base}/${folder}`
    if (folder !== '' && deviceOf(absolute) !== device) continue
    const entries = list(absolute)
    left -= entries.length
    if (left < 0 || performance.now() > latest) return undefined
    for (const entry of entries) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (!isOwn(entry.name, path) && !isExpected(`${path}/.`)) pending.push(path)
      } else if (changedSince(`${base}/${path}`, options.sinceMs) && !isExpected(path) && !options.isInput(path)) {
        found.push(path)
      }
    }
  }
  return found.sort()
}

function deviceOf(folder: string): number | undefined {
  try {
    return lstatSync(folder, { throwIfNoEntry: false })?.dev
  } catch {
    return undefined
  }
}

/** A folder is asked about as `folder/.`, which a glob for all in it matches as well. */
async function expectation({ outputs, scratch }: StrayOptions): Promise<(path: string) => boolean> {
  const globs = outputs.filter(({ kind }) => kind === 'glob').map(({ path }) => path)
  const matches = await globMatcher([...ALWAYS_SCRATCH, ...scratch, ...globs])
  const literals = outputs.filter(({ kind }) => kind === 'path').map(({ path }) => path)
  return (path) => literals.some((literal) => path === literal || path.startsWith(`${literal}/`)) || matches(path)
}

function changedSince(absolute: string, sinceMs: number): boolean {
  const stats = lookAt(absolute)
  return stats !== undefined && Math.max(stats.mtimeMs, stats.ctimeMs) >= sinceMs - TICK_MS
}

function list(absolute: string) {
  try {
    return readdirSync(absolute, { withFileTypes: true })
  } catch {
    return []
  }
}
