import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { lookAt } from './restore-look.ts'
import { objectionToResult } from './restore-objections.ts'
import { flatResult, type ResultEntry } from './result-tree.ts'
import { readMounts } from './staging-mounts.ts'

/** What a restore would have put into the workspace, and did not. */
export interface LeftOutputs {
  /** As they were declared. */
  readonly outputs: readonly OutputDeclaration[]
  readonly entries: readonly ResultEntry[]
}

/**
 * What a restore would put into a workspace that has nothing in its place: others can then tell what they would find there.
 * Undefined where something stands there, where a restore would refuse, and for files by which others find their inputs.
 */
export async function leftOutputs(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  result: ActionResult,
  signal?: AbortSignal,
): Promise<LeftOutputs | undefined> {
  const left = await wouldStand(workspace, outputs, result, signal)
  if (left === undefined || !isVacant(workspace.root, left)) return undefined
  const objection = await objectionToResult(workspace, outputs, left.entries, readMounts())
  return objection === undefined ? left : undefined
}

/** The same, whatever stands in its place. */
export async function wouldStand(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  result: ActionResult,
  signal?: AbortSignal,
): Promise<LeftOutputs | undefined> {
  const flat = await flatResult(workspace, result, signal)
  if (flat.kind !== 'flat' || flat.entries.some(({ path }) => isTelling(path))) return undefined
  return { outputs, entries: flat.entries }
}

/** Whether nothing stands in the place of any of it, and its folders, as far as they are there, are spelled as they are. */
export function isVacant(root: string, { outputs, entries }: LeftOutputs): boolean {
  const literals = outputs.filter(({ kind }) => kind === 'path').map(({ path }) => path)
  const isWithin = (path: string) => literals.some((literal) => path === literal || path.startsWith(`${literal}/`))
  const others = entries.filter(({ path }) => !isWithin(path)).map(({ path }) => path)
  const sound = new Map<string, boolean>()
  return [...literals, ...others].every((path) => {
    if (lookAt(`${root}/${path}`) !== undefined) return false
    const folder = dirname(`${root}/${path}`)
    const isSound = sound.get(folder) ?? isReachedPlainly(folder)
    sound.set(folder, isSound)
    return isSound
  })
}

/** The nearest folder that exists is one, and no link or other spelling is on the way to it. */
function isReachedPlainly(folder: string): boolean {
  for (let nearest = folder; ; nearest = dirname(nearest)) {
    const present = lookAt(nearest)
    if (present !== undefined) return present.isDirectory() && realpathSync.native(nearest) === nearest
    if (dirname(nearest) === nearest) return false
  }
}

/** It says what is an input or not, or cannot be told from other names. */
function isTelling(path: string): boolean {
  const names = path.toLowerCase().split('/')
  return path.includes('\uFFFD') || names.includes('.git') || names.at(-1) === '.gitignore'
}
