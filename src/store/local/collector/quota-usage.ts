import { lstatSync, readdirSync } from 'node:fs'
import { systemCode } from '../../../errors.ts'

export interface FolderEntry {
  readonly path: string
  readonly name: string
  readonly isFolder: boolean
}

/** How many bytes the files below a folder have; what goes away while it is counted is not counted. 0 when it is not there. */
export function folderBytes(folder: string): number {
  let sum = 0
  for (const { path, isFolder } of entriesOf(folder)) sum += isFolder ? folderBytes(path) : fileBytes(path)
  return sum
}

export function fileBytes(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Nothing when it is not there. */
export function entriesOf(folder: string): FolderEntry[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => ({
      path: `${folder}/${entry.name}`,
      name: entry.name,
      isFolder: entry.isDirectory(),
    }))
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return []
    throw error
  }
}
