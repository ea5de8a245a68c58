import { type CacheDigest, digestInJson } from './cache-digest.ts'

/** What a directory object names. */
export interface DirectoryObject {
  readonly files: readonly CacheDigest[]
  readonly directories: readonly CacheDigest[]
}

const MOST_MODE = 0o7777
type Fields = Readonly<Record<string, unknown>>

/** Undefined: it is no directory object of version 1, or none that a client could restore safely. */
export function directoryObject(value: Fields): DirectoryObject | undefined {
  const { version, directories, files, symlinks, ...more } = value
  if (version !== 1 || Object.keys(more).length > 0) return undefined
  if (!Array.isArray(directories) || !Array.isArray(files) || !Array.isArray(symlinks)) return undefined
  const nodes: readonly unknown[] = [...directories, ...files, ...symlinks]
  const names = new Set(nodes.map((node) => nameOf(node)))
  if (names.has(undefined) || names.size !== nodes.length) return undefined
  if (!symlinks.every((node: Fields) => typeof node.target === 'string' && isTarget(node.target))) return undefined
  if (!files.every((node: Fields) => typeof node.executable === 'boolean')) return undefined
  const below = digestsOf(directories)
  const held = digestsOf(files)
  return below && held && { files: held, directories: below }
}

/** A single path component. */
function nameOf(node: unknown): string | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  const { name, mode } = node as Fields
  if (typeof name !== 'string' || name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name)) return undefined
  return Number.isInteger(mode) && Number(mode) >= 0 && Number(mode) <= MOST_MODE ? name : undefined
}

function isTarget(target: string): boolean {
  return target !== '' && !target.startsWith('/') && !target.includes('\0')
}

function digestsOf(nodes: readonly Fields[]): readonly CacheDigest[] | undefined {
  const digests = nodes.flatMap(({ digest }) => digestInJson(digest) ?? [])
  return digests.length === nodes.length ? digests : undefined
}
