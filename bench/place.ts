import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Contender, once } from './paired-runs.ts'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

/** What is measured, as `npm run build` leaves it. */
export const executable = path.join(root, 'dist/recue')
export const nodeEntry = path.join(root, 'dist/node/recue.cjs')
/** The Node of devDependencies: the same for us and for the floor we compare with. */
export const node = realpathSync(path.join(root, 'node_modules/node/bin/node'))

/** The Bun that compiles the executable. */
export const bun = path.join(root, 'node_modules/.bin/bun')

/** A folder of its own for a benchmark of what `npm run build` made. */
export async function inPlace<T>(name: string, body: (folder: string) => T | Promise<T>): Promise<T> {
  if (!existsSync(executable)) throw new Error('dist/recue is not there: run `npm run build` first')
  return inFolder(name, body)
}

/** A folder of its own for one benchmark, gone afterwards; in `RECUE_BENCH_DIR` or the system's folder for such. */
export async function inFolder<T>(name: string, body: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = realpathSync(
    mkdtempSync(path.join(process.env.RECUE_BENCH_DIR ?? os.tmpdir(), `recue-bench-${name}-`)),
  )
  try {
    return await body(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Variables that keep a measured recue to itself: its own cache folder, no user's config. */
export function alone(folder: string): Record<string, string> {
  return { RECUE_CACHE_DIR: path.join(folder, 'cache'), XDG_CONFIG_HOME: path.join(folder, 'no-config') }
}

/**
 * Runs a contender of ours until it hits, and throws when it never does: else a run that is not kept could be timed as one
 * that is. The second run may still learn something: files younger than their record are hashed again.
 */
export function primed(contender: Contender): Contender {
  const said: string[] = []
  for (let round = 0; round < 3; round++) said.push(once(contender))
  if (/recue: hit/.test(said.at(-1) ?? '')) return contender
  throw new Error(`${contender.name} does not hit: ${said.map((text) => text.slice(-300)).join(' | ')}`)
}
