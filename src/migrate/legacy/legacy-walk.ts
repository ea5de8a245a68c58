import { readdirSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { legacyGlob } from './legacy-glob.ts'

/**
 * The files below `workingDir` that any pattern matches, relative to it, in the order of the old tool: folder by folder,
 * by bytes. The whole tree is walked, as it was there, with nothing left out; links to files count, linked folders do not.
 */
export function matchingFiles(workingDir: string, patterns: readonly string[]): string[] {
  const matches = legacyGlob(patterns)
  const found: string[] = []
  const walk = (relative: string): void => {
    const folder = path.join(workingDir, relative)
    // Two for each folder, to see that it lies within: part of what a look-up cost.
    realpathSync(workingDir)
    realpathSync(folder)
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const name = path.join(relative, entry.name)
      const stats = statSync(path.join(workingDir, name), { throwIfNoEntry: false })
      if (entry.isDirectory()) walk(name)
      else if (stats?.isFile() && matches(name)) found.push(name)
    }
  }
  walk('')
  return found.sort(byComponents)
}

function byComponents(a: string, b: string): number {
  const left = a.split(path.sep)
  const right = b.split(path.sep)
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = Buffer.compare(Buffer.from(left[i] as string), Buffer.from(right[i] as string))
    if (order !== 0) return order
  }
  // Two files: neither path is the start of the other.
  return 0
}
