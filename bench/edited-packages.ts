import { appendFileSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'

/** Where the packages are installed whose sources the recorded histories work on, and the tools that work on them. */
export const modules = path.resolve(import.meta.dirname, '../node_modules')

/** Puts the sources of an installed package at `src` of a folder. Each edit adds a line of code to a file that its number decides. */
export function checkOut(from: string, cwd: string, edits: readonly number[]): void {
  const source = path.join(cwd, 'src')
  rmSync(source, { recursive: true, force: true })
  mkdirSync(cwd, { recursive: true })
  cpSync(path.join(modules, from), source, {
    recursive: true,
    filter: (file) => !file.slice(modules.length + from.length + 1).includes('node_modules'),
  })
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.m?js$/.test(file))
    .sort()
  for (const edit of edits) {
    const file = files[(edit * 7919) % files.length] as string
    appendFileSync(path.join(source, file), `\n;globalThis.__edited = "edit ${edit}"\n`)
  }
}

/** Numbers below 1 that a seed decides, the same everywhere: Mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
