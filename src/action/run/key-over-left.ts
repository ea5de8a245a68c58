import { isCacheError, systemCode } from '../../errors.ts'
import { Unsure, ViewWithLeft } from '../inputs/view-with-left.ts'
import { keyOf } from '../key/key.ts'
import type { KeyedAction, OutputDeclaration } from '../key/keyed-action.ts'
import { isVacant, type LeftOutputs } from '../outputs/left-outputs.ts'
import { clashingOutputs } from '../outputs/output-declarations.ts'
import { unfinishedRestores } from '../outputs/restore-record.ts'
import type { ActionRequest } from '../request.ts'
import type { Workspace } from '../workspace.ts'

export interface KeyOverLeftOptions {
  /**
   * What stands in the place of those outputs is taken to go: a key that is likely, for who only looks for what is kept under it.
   * Else nothing may stand there.
   */
  readonly isReplacing?: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * The key of work whose inputs are in part outputs that are not there, as it is made once they are. Undefined where that cannot be
 * told, or there is none. Throws the signal's reason.
 */
export async function keyOverLeft(
  request: ActionRequest,
  workspace: Workspace,
  left: readonly LeftOutputs[],
  { isReplacing = false, signal }: KeyOverLeftOptions,
): Promise<KeyedAction | undefined> {
  const { records, cacheDir, home } = workspace
  // What a tool's command prints may depend on what is not here.
  if (Object.keys(request.tools).length > 0) return undefined
  try {
    if (unfinishedRestores(workspace).length > 0) return undefined
    if (!isReplacing && !left.every((outputs) => isVacant(workspace.root, outputs))) return undefined
    const entries = left.flatMap((outputs) => outputs.entries)
    const files = new ViewWithLeft(workspace.root, entries, isReplacing ? placesOf(left) : undefined)
    const keyed = await keyOf(request, { records, cacheDir, home, files, ...(signal && { signal }) })
    if (keyed.kind === 'unkeyable' || (await meets(keyed.action.outputs, left))) return undefined
    return keyed.action
  } catch (error) {
    signal?.throwIfAborted()
    if (isCacheError(error) || error instanceof Unsure || systemCode(error) !== undefined) return undefined
    throw error
  }
}

/** Folders that a restore would make as they were, and files that it would write. */
function placesOf(left: readonly LeftOutputs[]): (path: string) => boolean {
  const folders = left.flatMap(({ outputs }) => outputs.flatMap(({ kind, path }) => (kind === 'path' ? [path] : [])))
  const files = new Set(
    left.flatMap(({ entries }) => entries.flatMap(({ kind, path }) => (kind === 'directory' ? [] : [path]))),
  )
  return (path) => files.has(path) || folders.some((folder) => path === folder || path.startsWith(`${folder}/`))
}

/** What it writes itself would lie where others' outputs are to come. */
async function meets(outputs: readonly OutputDeclaration[], left: readonly LeftOutputs[]): Promise<boolean> {
  const others = left.flatMap((one) => one.outputs)
  return (await clashingOutputs(outputs, others)) !== undefined
}
