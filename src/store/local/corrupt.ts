import { mkdirSync, renameSync } from 'node:fs'
import { basename } from 'node:path'
import type { Layout } from './layout.ts'

/** What is told on the channel `recue:corrupt`, once for each damaged thing. */
export interface Corruption {
  /** In a person's words: `a blob`, `an action result`, `the index`, … */
  readonly what: string
  /** The file, and the place in it or the key. */
  readonly where: string
}

export const CORRUPT_CHANNEL = 'recue:corrupt'
const told = new Set<string>()
const listeners = new Set<(corruption: Corruption) => void>()

/** Tells whoever listens that something did not check out. Nobody needs to do anything: it is treated as not there. */
export function reportCorruption(what: string, where: string): void {
  const key = `${what}\0${where}`
  if (told.has(key)) return
  told.add(key)
  const corruption: Corruption = { what, where }
  for (const listener of listeners) listener(corruption)
  process.getBuiltinModule('node:diagnostics_channel').channel(CORRUPT_CHANNEL).publish(corruption)
}

/** For this process alone: what the channel says, without loading `node:diagnostics_channel` before there is anything to say. */
export function hearCorruption(listener: (corruption: Corruption) => void): Disposable {
  listeners.add(listener)
  return { [Symbol.dispose]: () => void listeners.delete(listener) }
}

/** Moves a file that did not check out out of the way; where it cannot be moved it is left. */
export function moveToDamaged(layout: Layout, path: string): void {
  try {
    mkdirSync(layout.damaged, { recursive: true, mode: 0o700 })
    renameSync(path, `${layout.damaged}/${Date.now()}-${basename(path)}`)
  } catch {
    // Gone already, or the folder is read-only: what is damaged is not used either way.
  }
}
