import { closeSync, fsyncSync, openSync } from 'node:fs'

/** A file that was made or renamed is on the disk under its name when the folder is. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
