import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'

/** As the old tool did before each use of a folder: made if need be, and looked at. */
export function ensureFolder(folder: string): void {
  mkdirSync(folder, { recursive: true })
  statSync(folder)
}

/** Whole or not at all: written beside its place, synced, renamed. The folder is not synced, so a power cut may undo it. */
export function writeAtomically(file: string, content: string): void {
  const folder = path.dirname(file)
  ensureFolder(folder)
  const temporary = path.join(folder, `.${crypto.randomUUID()}.tmp`)
  try {
    const descriptor = openSync(temporary, 'w')
    try {
      writeSync(descriptor, content)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, file)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}
