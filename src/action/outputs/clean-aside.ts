import { rmdirSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { isCacheError } from '../../errors.ts'
import { lookAt } from './restore-look.ts'
import type { Step } from './restore-record.ts'
import { takeSteps } from './restore-steps.ts'

/** A file or link that gave way to a run. */
export interface Aside {
  /** Relative to the root; where it was. */
  readonly path: string
  /** Absolute; in the trash. */
  readonly to: string
}

/** Moves what can be moved; what cannot, or changed meanwhile, stays, and is not among what is given back. */
export function moveAside(root: string, steps: readonly (Step & { kind: 'trash' })[]): readonly Aside[] {
  try {
    takeSteps(root, steps)
  } catch (error) {
    // A run can do without a clean start, at the price that its result is not kept.
    if (!isCacheError(error)) throw error
  }
  return steps.flatMap(({ path, to }) => {
    const isMoved = lookAt(`${root}/${path}`) === undefined && lookAt(to) !== undefined
    return isMoved ? [{ path, to }] : []
  })
}

/**
 * The command ran. What it made again was evidently its own work the last time, so the older one need not be kept. Gives
 * the paths of the rest, which stays in the trash: it may have been somebody else's.
 */
export function dropRemade(root: string, aside: readonly Aside[]): readonly string[] {
  const isRemade = ({ path }: Aside) => lookAt(`${root}/${path}`) !== undefined
  const remade = aside.filter(isRemade)
  for (const { to } of remade) unlinkSync(to)
  const folders = new Set(remade.flatMap(({ path, to }) => foldersOf(path, to)))
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) removeIfEmpty(folder)
  return aside.filter((one) => !isRemade(one)).map(({ path }) => path)
}

/** The folders that were made in the trash for one thing: as many as its path has, and the clean-up's own. */
function foldersOf(path: string, to: string): string[] {
  const folders: string[] = []
  let folder = to
  for (const _ of path.split('/')) {
    folder = dirname(folder)
    folders.push(folder)
  }
  return folders
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // Something else is still in it.
  }
}
