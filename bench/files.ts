import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Writes `count` text files of `bytes` each, spread over folders of 100; like source, they compress about threefold. */
export function writeFiles(folder: string, count: number, bytes: number, seed = 1): void {
  const next = sourceLike(seed)
  for (let index = 0; index < count; index++) {
    const parent = path.join(folder, `part${Math.floor(index / 100)}`)
    if (index % 100 === 0) mkdirSync(parent, { recursive: true })
    writeFileSync(path.join(parent, `file${index}.js`), next(`// file ${index} of ${seed}\n`, bytes))
  }
}

/** Gives texts of so many bytes that begin as they are told, each different from the one before. */
export function sourceLike(seed: number): (start: string, bytes: number) => string {
  let state = seed
  return (start, bytes) => {
    let text = start
    while (text.length < bytes) {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      text += `export const value${state % 9973} = compute(${state}, 'name${state % 577}')\n`
    }
    return text.slice(0, bytes)
  }
}
