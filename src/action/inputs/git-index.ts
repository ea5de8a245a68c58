import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { crc32c } from '../../digest/crc32c.ts'
import { CacheError } from '../../errors.ts'

/** The files of a repository that git tracks. */
export interface TrackedFiles {
  /** Relative to the repository's top folder, in git's order, each once. A submodule is the path of its folder. */
  readonly paths: readonly string[]
  /** Absolute path; the file may not be there yet. */
  readonly indexFile: string
}

/**
 * What `.git/index` lists. Read by ourselves, since starting git takes longer than reading 10,000 entries; forms of the
 * index that are rare (split, sparse, or unknown) are left to `git ls-files`. `dotGit` is the absolute path of a `.git`,
 * folder or file; undefined when that is no repository. Throws `input.unreadable` when neither way gives an answer.
 */
export async function trackedFiles(dotGit: string, signal?: AbortSignal): Promise<TrackedFiles | undefined> {
  const folder = gitFolder(dotGit)
  if (folder === undefined) return undefined
  const indexFile = join(folder, 'index')
  const index = readOrUndefined(indexFile)
  if (index === undefined) return { paths: [], indexFile }
  const paths = parseIndex(index, usesSha256(folder) ? 32 : 20) ?? (await listByGit(dirname(dotGit), signal))
  if (paths !== undefined) return { paths, indexFile }
  throw new CacheError(
    'input.unreadable',
    `The index of git ${indexFile} cannot be read, and \`git ls-files\` failed too.`,
    {
      hint: 'Install git, or name the inputs and switch .gitignore files off.',
      context: { path: indexFile },
    },
  )
}

/** Changes with what is tracked. A checksum will do: it is not against an attacker, who could as well change the files. */
export function markOf(tracked: TrackedFiles): string {
  const bytes = Buffer.from(tracked.paths.join('\0'))
  return `${tracked.paths.length}:${bytes.length}:${crc32c(bytes)}`
}

/** The folder that `.git` is, or that it names as a file (worktrees, submodules). */
function gitFolder(dotGit: string): string | undefined {
  if (readOrUndefined(join(dotGit, 'HEAD')) !== undefined) return dotGit
  const target = /^gitdir: ([^\r\n]+)/.exec(readOrUndefined(dotGit)?.toString() ?? '')?.[1]
  if (target === undefined) return undefined
  const folder = resolve(dirname(dotGit), target)
  return readOrUndefined(join(folder, 'HEAD')) === undefined ? undefined : folder
}

/** A worktree shares the config of the repository that it belongs to. */
function usesSha256(folder: string): boolean {
  const common = readOrUndefined(join(folder, 'commondir'))?.toString().trim()
  const config = readOrUndefined(join(common === undefined ? folder : resolve(folder, common), 'config'))
  return config !== undefined && /^\s*objectformat\s*=\s*sha256\s*$/im.test(config.toString())
}

function readOrUndefined(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

const STAT_BYTES = 40
const EXTENDED = 0x4000
const NAME_BYTES = 0x0fff

/**
 * The paths of an index of version 2 to 4 (gitformat-index(5)); undefined for one that is not understood whole: with an
 * extension that must not be skipped (its name begins with a small letter), or cut short.
 */
export function parseIndex(index: Buffer, hashBytes: 20 | 32): string[] | undefined {
  if (index.length < 12 + hashBytes || index.toString('latin1', 0, 4) !== 'DIRC') return undefined
  const version = index.readUInt32BE(4)
  if (version < 2 || version > 4) return undefined
  const count = index.readUInt32BE(8)
  const end = index.length - hashBytes
  const paths: string[] = []
  let at = 12
  let previous: Buffer = Buffer.alloc(0)
  for (let i = 0; i < count; i++) {
    const flagsAt = at + STAT_BYTES + hashBytes
    if (flagsAt + 2 > end) return undefined
    const flags = index.readUInt16BE(flagsAt)
    const nameAt = flagsAt + (flags & EXTENDED ? 4 : 2)
    const entry =
      version === 4 ? compressedName(index, nameAt, end, previous) : plainName(index, nameAt, end, at, flags)
    if (entry === undefined) return undefined
    // A conflict has up to three entries of one name.
    if (!entry.name.equals(previous)) paths.push(entry.name.toString())
    previous = entry.name
    at = entry.next
  }
  return hasOnlyOptionalExtensions(index, at, end) ? paths : undefined
}

interface IndexName {
  readonly name: Buffer
  readonly next: number
}

/** Ended by one to eight NULs, so that the entry's length is a multiple of eight. */
function plainName(index: Buffer, nameAt: number, end: number, entryAt: number, flags: number): IndexName | undefined {
  const short = flags & NAME_BYTES
  const nameEnd = short < NAME_BYTES ? nameAt + short : index.indexOf(0, nameAt)
  const next = entryAt + ((nameEnd - entryAt + 8) & ~7)
  return nameEnd < nameAt || next > end ? undefined : { name: index.subarray(nameAt, nameEnd), next }
}

/** How many bytes to drop from the end of the name before, as a variable-length number; then what to append. */
function compressedName(index: Buffer, nameAt: number, end: number, previous: Buffer): IndexName | undefined {
  let at = nameAt
  let byte = index[at++] as number
  let dropped = byte & 127
  while (byte & 128) {
    byte = index[at++] as number
    dropped = ((dropped + 1) << 7) | (byte & 127)
  }
  const nameEnd = index.indexOf(0, at)
  if (nameEnd === -1 || nameEnd >= end || dropped > previous.length) return undefined
  const kept = previous.subarray(0, previous.length - dropped)
  return { name: Buffer.concat([kept, index.subarray(at, nameEnd)]), next: nameEnd + 1 }
}

function hasOnlyOptionalExtensions(index: Buffer, from: number, end: number): boolean {
  let at = from
  while (at + 8 <= end) {
    const first = index[at] as number
    if (first < 0x41 || first > 0x5a) return false
    at += 8 + index.readUInt32BE(at + 4)
  }
  return at === end
}

/**
 * The caller's own git settings and those of a hook (`GIT_INDEX_FILE`) must not change what is listed, and nothing that the
 * repository's config names may run.
 */
async function listByGit(top: string, signal: AbortSignal | undefined): Promise<string[] | undefined> {
  const { execFile } = await import('node:child_process')
  const args = ['-c', 'core.fsmonitor=false', '-c', 'safe.directory=*', 'ls-files', '-z', '--cached']
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0' }
  return new Promise((done, fail) => {
    execFile('git', args, { cwd: top, env, maxBuffer: 1 << 30, ...(signal && { signal }) }, (error, stdout) => {
      if (signal?.aborted) fail(signal.reason)
      else done(error ? undefined : [...new Set(stdout.split('\0').slice(0, -1))])
    })
  })
}
