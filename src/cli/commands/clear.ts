import { lstatSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, sep } from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'
import { FORMAT_PREFIX } from '../../store/local/layout.ts'
import { formatSize } from '../../units/size.ts'
import { ask } from '../ask.ts'
import { cacheFolderOf } from '../cache-folder.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { type OwnEntry, ownEntries, ownFolders } from '../own-files.ts'
import { oneLine } from '../table.ts'

const OPTIONS = {
  yes: { kind: 'flag', short: 'y', summary: 'Do not ask.' },
  trash: { kind: 'flag', summary: 'Empty the trash as well: files of yours that were in the way of outputs.' },
} as const

export const command = defineCommand({
  name: 'clear',
  summary: 'Remove all that is kept',
  usage: ['clear [--yes] [--trash]'],
  description:
    'Shows which folder and how much, and asks. Removes nothing but what recue made: anything else in the folder stays. ' +
    'The trash stays too, unless --trash.\nWith --json (and --yes): { dir, removedFiles, removedBytes }.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [{ line: 'recue clear --yes', does: 'For scripts.' }],
  exits: [{ code: 1, means: 'The answer was no: nothing was removed.' }],
  async run(context) {
    const dir = await cacheFolderOf(context)
    if (lstatSync(dir, { throwIfNoEntry: false }) !== undefined) refuseStrangers(dir)
    const entries = [...ownEntries(dir, { trash: context.options.trash })]
    if (entries.length > 0 && !(await isAgreed(context, dir, entries))) return 1
    try {
      remove(dir, entries)
    } catch (error) {
      throw notRemoved(dir, error)
    }
    report(context, dir, entries)
    return 0
  },
})

/** Only a folder that recue made, and never one that holds the person's own things as well. */
function refuseStrangers(dir: string): void {
  const real = realpathSync(dir)
  const home = realHome()
  if (home !== undefined && (real === home || home.startsWith(real.endsWith(sep) ? real : real + sep))) {
    throw refused(dir, 'it is, or contains, your home folder')
  }
  if (!isFormatFile(join(dir, 'FORMAT'))) throw refused(dir, 'it is not a cache of recue')
}

function isFormatFile(path: string): boolean {
  try {
    return lstatSync(path).isFile() && readFileSync(path, 'utf8').startsWith(FORMAT_PREFIX)
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false
    throw error
  }
}

function realHome(): string | undefined {
  try {
    return realpathSync(homedir())
  } catch {
    return undefined
  }
}

function refused(dir: string, why: string): CacheError {
  return new CacheError('store.unusable', `${dir} is not cleared: ${why}.`, {
    hint: 'Name the cache folder with --cache-dir or RECUE_CACHE_DIR.',
    context: { dir },
  })
}

async function isAgreed(
  { options, output, signal }: CommandContext<typeof OPTIONS>,
  dir: string,
  entries: readonly OwnEntry[],
): Promise<boolean> {
  if (options.yes) return true
  output.stderr.line(`${oneLine(dir)} holds ${amountOf(entries)}.`)
  return ask('Remove it?', { hint: 'To clear without being asked: recue clear --yes', signal })
}

/**
 * The index goes first: what is removed after it was not found any more. FORMAT goes last, and stays, with
 * empty folders, where something else lies: without it the rest would be somebody's folder, which recue does not use.
 */
function remove(dir: string, entries: readonly OwnEntry[]): void {
  const marks = entries.filter(({ path }) => MARKS.has(basename(path)) && dirname(path) === dir)
  for (const { path } of entries) {
    if (!marks.some((mark) => mark.path === path)) rmSync(path, { recursive: true, force: true })
  }
  if (entries.length === 0 || holdsMore(dir)) return
  for (const folder of ownFolders(dir)) removeIfEmpty(folder)
  for (const { path } of marks) rmSync(path, { force: true })
  removeIfEmpty(dir)
}

function notRemoved(dir: string, cause: unknown): unknown {
  const code = systemCode(cause)
  if (code === undefined) return cause
  return new CacheError('store.unusable', `Not all of ${dir} could be removed (${code}).`, {
    hint: 'Check its permissions, and whether its file system is mounted read-only.',
    cause,
    context: { dir },
  })
}

function holdsMore(dir: string): boolean {
  const all = readdirSync(dir, { recursive: true, withFileTypes: true })
  return all.some((entry) => !entry.isDirectory() && !MARKS.has(entry.name))
}

const MARKS: ReadonlySet<string> = new Set(['FORMAT', 'CACHEDIR.TAG'])

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // Something else lies in it, or it is where somebody stands: it stays.
  }
}

function report({ options, output }: CommandContext<typeof OPTIONS>, dir: string, entries: readonly OwnEntry[]): void {
  const removed = { removedFiles: sum(entries, 'files'), removedBytes: sum(entries, 'sizeBytes') }
  if (options.json) output.json({ dir, ...removed })
  else if (entries.length === 0) output.stdout.line(`There is nothing in ${oneLine(dir)}.`)
  else output.stdout.line(`Removed ${amountOf(entries)} from ${oneLine(dir)}.`)
}

function amountOf(entries: readonly OwnEntry[]): string {
  return `${formatSize(sum(entries, 'sizeBytes'))} in ${sum(entries, 'files')} files`
}

function sum(entries: readonly OwnEntry[], what: 'files' | 'sizeBytes'): number {
  return entries.reduce((total, entry) => total + entry[what], 0)
}
