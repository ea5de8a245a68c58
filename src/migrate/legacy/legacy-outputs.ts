import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import type { LegacyResult } from './legacy-entry.ts'
import type { LegacyTask } from './legacy-task.ts'
import { matchingFiles } from './legacy-walk.ts'

/** What lies at the declared outputs: path → SHA-256 in hex. */
export function outputHashes({ workingDir, config }: LegacyTask): Record<string, string> {
  const hashes: Record<string, string> = {}
  for (const file of config.outputs === undefined ? [] : matchingFiles(workingDir, config.outputs))
    hashes[file] = hashOf(path.join(workingDir, file))
  return hashes
}

/** Whether the outputs that were kept are there as they were; those that are there besides do not matter. */
export function hasOutputsOf({ outputFiles }: LegacyResult, { workingDir, config }: LegacyTask): boolean {
  if (config.outputs === undefined) return true
  const present = matchingFiles(workingDir, config.outputs)
  if (present.length === 0 && Object.keys(outputFiles).length > 0) return false
  for (const file of present) {
    const kept = Object.hasOwn(outputFiles, file) ? outputFiles[file] : undefined
    if (kept !== undefined && hashOf(path.join(workingDir, file)) !== kept) return false
  }
  return Object.keys(outputFiles).every(
    (file) => statSync(path.join(workingDir, file), { throwIfNoEntry: false }) !== undefined,
  )
}

function hashOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
