import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Write } from './recorded-writes.ts'

/**
 * The disk at a power cut, as POSIX allows it: content is there that was synced; what was written to a file since is there,
 * is not, or is there in part, each write by itself. Names that were made, renamed or removed in a folder are so when the
 * folder was synced, and else up to some moment, in order. A name without its file's content is an empty file.
 */
interface Disk {
  /** By number of the file. */
  readonly contents: Map<number, { synced: Buffer; since: Change[] }>
  /** By folder, and in it by name; as a program sees them. */
  readonly now: Names
  /** As they are for sure. */
  readonly synced: Names
  /** By folder: what was done since it was synced. */
  readonly since: Map<string, NameChange[]>
}

type Names = Map<string, Map<string, number | 'folder'>>
interface Piece {
  readonly offset: number
  readonly bytes: Buffer
}
type Change = Piece | { readonly length: number }
type NameChange = { readonly name: string; readonly file: number | 'folder' | undefined }

/** What is left of `original` after the writes and then a power cut, made in `target`. */
export function afterPowerLoss(
  original: string,
  target: string,
  writes: readonly Write[],
  random: (below: number) => number,
): void {
  const disk = diskOf(original)
  for (const write of writes) apply(disk, write)
  mkdirSync(target, { recursive: true })
  makeFolder(disk, target, '.', random)
}

function diskOf(original: string): Disk {
  const disk: Disk = { contents: new Map(), now: new Map([['.', new Map()]]), synced: new Map(), since: new Map() }
  for (const entry of readdirSync(original, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name).slice(original.length + 1)
    const file = entry.isDirectory() ? 'folder' : disk.contents.size
    if (file === 'folder') disk.now.set(path, disk.now.get(path) ?? new Map())
    else disk.contents.set(file, { synced: readFileSync(join(original, path)), since: [] })
    namesOf(disk.now, dirname(path)).set(entry.name, file)
  }
  for (const [folder, names] of disk.now) disk.synced.set(folder, new Map(names))
  return disk
}

function apply(disk: Disk, write: Write): void {
  if (write.kind === 'said') return
  const { path } = write
  switch (write.kind) {
    case 'make': {
      const file = write.isFolder ? 'folder' : disk.contents.size
      if (file !== 'folder') disk.contents.set(file, { synced: Buffer.alloc(0), since: [] })
      setName(disk, path, file)
      return
    }
    case 'bytes':
      contentOf(disk, path)?.since.push({ offset: write.offset, bytes: write.bytes })
      return
    case 'cut':
      contentOf(disk, path)?.since.push({ length: write.length })
      return
    case 'rename': {
      const file = fileOf(disk, path)
      setName(disk, write.to, file)
      setName(disk, path, undefined)
      return
    }
    case 'unlink':
      setName(disk, path, undefined)
      return
    case 'sync':
      sync(disk, path)
  }
}

function sync(disk: Disk, path: string): void {
  const content = contentOf(disk, path)
  if (content !== undefined) {
    for (const change of content.since) content.synced = changed(content.synced, change)
    content.since = []
  } else {
    disk.synced.set(path, new Map(disk.now.get(path)))
    disk.since.delete(path)
  }
}

function setName(disk: Disk, path: string, file: number | 'folder' | undefined): void {
  const [folder, name] = [dirname(path), path.slice(path.lastIndexOf('/') + 1)]
  const names = namesOf(disk.now, folder)
  if (file === undefined) names.delete(name)
  else names.set(name, file)
  if (file === 'folder') disk.now.set(path, disk.now.get(path) ?? new Map())
  const since = disk.since.get(folder) ?? []
  disk.since.set(folder, since)
  since.push({ name, file })
}

function fileOf(disk: Disk, path: string): number | 'folder' | undefined {
  return disk.now.get(dirname(path))?.get(path.slice(path.lastIndexOf('/') + 1))
}

function contentOf(disk: Disk, path: string): { synced: Buffer; since: Change[] } | undefined {
  const file = fileOf(disk, path)
  return typeof file === 'number' ? disk.contents.get(file) : undefined
}

function namesOf(names: Names, folder: string): Map<string, number | 'folder'> {
  const there = names.get(folder) ?? new Map<string, number | 'folder'>()
  names.set(folder, there)
  return there
}

function makeFolder(disk: Disk, target: string, folder: string, random: (below: number) => number): void {
  const names = new Map(disk.synced.get(folder))
  const since = disk.since.get(folder) ?? []
  for (const { name, file } of since.slice(0, random(since.length + 1)))
    if (file === undefined) names.delete(name)
    else names.set(name, file)
  for (const [name, file] of names) {
    const path = folder === '.' ? name : `${folder}/${name}`
    if (file === 'folder') {
      mkdirSync(join(target, path), { mode: 0o700 })
      makeFolder(disk, target, path, random)
    } else writeFileSync(join(target, path), survivor(disk, file, random), { mode: 0o600 })
  }
}

/** Mostly all or most of what was written since is lost or kept; writes are torn at the disk's sectors. */
function survivor(disk: Disk, file: number, random: (below: number) => number): Buffer {
  const { synced, since } = disk.contents.get(file) as { synced: Buffer; since: Change[] }
  const lostOfTen = random(11)
  return since.reduce<Buffer>((bytes, change) => {
    if (random(10) < lostOfTen) return 'length' in change ? bytes : grown(bytes, change, random)
    if ('length' in change || random(10) > 0) return changed(bytes, change)
    const whole = random(Math.ceil(change.bytes.length / 512)) * 512
    return changed(bytes, { offset: change.offset, bytes: change.bytes.subarray(0, whole) })
  }, synced)
}

/** A file may have its new length and none of its new content. */
function grown(bytes: Buffer, { offset, bytes: lost }: Piece, random: (below: number) => number): Buffer {
  const end = offset + lost.length
  return random(3) === 0 && end > bytes.length ? Buffer.concat([bytes, Buffer.alloc(end - bytes.length)]) : bytes
}

function changed(bytes: Buffer, change: Change): Buffer {
  if ('length' in change) {
    const cut = Buffer.alloc(change.length)
    bytes.copy(cut, 0, 0, change.length)
    return cut
  }
  const end = change.offset + change.bytes.length
  const result = end > bytes.length ? Buffer.concat([bytes, Buffer.alloc(end - bytes.length)]) : Buffer.from(bytes)
  change.bytes.copy(result, change.offset)
  return result
}
