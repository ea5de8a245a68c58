import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'

/** Paths below a folder with kind, executable bit and content: what "restored equals built" compares. */
export function treeState(folder: string, names: readonly string[]): Record<string, string> {
  const state: Record<string, string> = {}
  const visit = (name: string): void => {
    const file = path.join(folder, name)
    const stat = lstatSync(file)
    if (stat.isSymbolicLink()) state[name] = `link ${readlinkSync(file)}`
    else if (stat.isDirectory()) {
      state[name] = 'directory'
      for (const child of readdirSync(file)) visit(path.join(name, child))
    } else {
      const mode = stat.mode & 0o111 ? 'executable' : 'plain'
      state[name] = `${mode} ${createHash('sha256').update(readFileSync(file)).digest('hex')}`
    }
  }
  for (const name of names) visit(name)
  return state
}

/** When each file below was last written, in nanoseconds: to see that a file was left alone. */
export function writeTimes(folder: string, names: readonly string[]): Record<string, string> {
  const files = Object.keys(treeState(folder, names))
  return Object.fromEntries(
    files.map((name) => [name, String(lstatSync(path.join(folder, name), { bigint: true }).mtimeNs)]),
  )
}
