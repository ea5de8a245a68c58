import { accessSync, constants, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Digest } from '../../digest/digest.ts'
import { CacheError, isCacheError, systemCode } from '../../errors.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { trackedIn } from './git-tracked.ts'
import { openLeftovers } from './leftovers.ts'
import { type Comparison, compareWithDisk } from './restore-compare.ts'
import { guardRestore, type RestoreGuard } from './restore-guard.ts'
import { objectionToResult } from './restore-objections.ts'
import type { RestoreOutcome } from './restore-outcome.ts'
import { type Compared, contentBytes, finalRecord, intendedRecord, recordOfKept } from './restore-outputs-record.ts'
import { type Plan, planRestore } from './restore-plan.ts'
import type { Step } from './restore-record.ts'
import { takeSteps } from './restore-steps.ts'
import { flatResult, type ResultEntry } from './result-tree.ts'
import { chooseStagingFolder, stage, stagedPath } from './staging.ts'
import { type Mounts, readMounts } from './staging-mounts.ts'
import { standing } from './standing.ts'
import { trashFolder } from './trash.ts'
import { type EncodedRecord, openVouchers, recordName, saveRecord, type Vouchers } from './workspace-record.ts'

/**
 * Makes the outputs in the workspace those of the result. What is right already is not written. All content is staged
 * before the first change, and several changes are made under a record, by which {@link rollForward} completes them after
 * a crash. Throws `restore.failed` when the file system refuses.
 */
export async function restore(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  result: ActionResult,
  resultDigest: Digest,
  signal?: AbortSignal,
): Promise<RestoreOutcome> {
  const wanted = { name: recordName(workspace, outputs), outputs, result, resultDigest }
  return standing(workspace, outputs, resultDigest) ?? (await restoreChanged(workspace, wanted, signal))
}

interface Wanted {
  readonly name: string
  readonly outputs: readonly OutputDeclaration[]
  readonly result: ActionResult
  readonly resultDigest: Digest
}

/** A workspace that changes under its hands is compared again; not for ever. */
const MOST_ATTEMPTS = 3

async function restoreChanged(workspace: Workspace, wanted: Wanted, signal?: AbortSignal): Promise<RestoreOutcome> {
  const trashed: string[] = []
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const outcome = await attemptRestore(workspace, wanted, trashed, signal)
    if (outcome?.kind === 'restored') return { ...outcome, trashed: [...trashed, ...outcome.trashed] }
    if (outcome !== undefined) return outcome
  }
  throw new CacheError('restore.failed', 'The outputs were changed by something else while they were restored.', {
    hint: 'Stop what writes to them (a watcher?) and run again.',
  })
}

async function attemptRestore(
  workspace: Workspace,
  wanted: Wanted,
  trashed: string[],
  signal?: AbortSignal,
): Promise<RestoreOutcome | undefined> {
  const comparedAtMs = Date.now()
  const flat = await flatResult(workspace, wanted.result, signal)
  if (flat.kind === 'missing') return { kind: 'incomplete', digest: flat.digest }
  if (flat.kind === 'invalid') return { kind: 'refused', reason: `the kept result is unusable: ${flat.reason}` }
  const mounts = readMounts()
  const objection = await objectionToResult(workspace, wanted.outputs, flat.entries, mounts)
  if (objection !== undefined) return { kind: 'refused', reason: objection }

  const vouchers = openVouchers(workspace, wanted.name)
  const comparison = compareWithDisk(workspace.root, flat.entries, vouchers, signal)
  const plan = await decide(workspace, wanted.outputs, comparison, { vouchers, mounts }, signal)
  if (plan.kind === 'refused') return plan
  const change: Change = { ...wanted, entries: flat.entries, comparison, plan, comparedAtMs }
  if (plan.parts.length + plan.clearing.length + comparison.chmods.length === 0) {
    await remember(workspace, wanted.name, recordOfKept(change))
    return restored(change)
  }
  const outcome = await carryOut(workspace, change, mounts, signal)
  if (outcome === undefined) trashed.push(...plan.trashed)
  return outcome
}

/** A restore that was decided on. */
interface Change extends Wanted, Compared {
  readonly plan: Plan & { kind: 'plan' }
}

/** git is asked only where something is to be deleted, or overwritten that no record knows. */
async function decide(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  comparison: Comparison,
  grounds: { vouchers: Vouchers; mounts: Mounts },
  signal?: AbortSignal,
): Promise<Plan> {
  const { overwritten, obstacles, stale } = comparison
  const doubtful = overwritten.filter(({ path, identity }) => !grounds.vouchers.vouchesFor(path, identity))
  const questions = [...doubtful, ...obstacles, ...stale].map(({ path }) => path)
  const tracked = await trackedIn(workspace.root, outputs, questions, signal)
  const trash = trashFolder(workspace.trashDir, Date.now())
  const leftovers = openLeftovers(workspace)
  return planRestore({ root: workspace.root, ...grounds, leftovers, tracked, trash }, comparison)
}

/** Undefined: something was changed while it was done, so that the comparison no longer holds. */
async function carryOut(
  workspace: Workspace,
  change: Change,
  mounts: Mounts,
  signal?: AbortSignal,
): Promise<RestoreOutcome | undefined> {
  const { plan, comparison, name } = change
  const obstructed = unwritableFolder(workspace.root, [...plan.clearing, ...plan.parts, ...comparison.chmods])
  if (obstructed !== undefined) return { kind: 'refused', reason: `the folder "${obstructed}" cannot be written to` }
  const folder = chooseStagingFolder(workspace, mounts)
  const steps = stepsOf(change, folder)
  await using guard = await guardFor(workspace, { name, folder, steps }, signal)
  let hasBegun = false
  try {
    const staged = await stage(workspace, folder, plan.parts, signal)
    if (staged.kind === 'missing') return { kind: 'incomplete', digest: staged.digest }
    signal?.throwIfAborted()
    const takenAtMs = Date.now()
    await guard?.begin(steps, intendedRecord(change))
    hasBegun = true
    const { skipped } = takeSteps(workspace.root, steps)
    await remember(workspace, name, finalRecord(workspace.root, change, { steps, skipped, takenAtMs, ...staged }))
    rmSync(folder, { recursive: true, force: true })
    await guard?.done()
    return skipped.length === 0 ? restored(change) : undefined
  } finally {
    // Of steps that were begun under a guard, the next run here needs what is staged.
    if (!hasBegun || guard === undefined) rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * One rename is whole or absent by itself, and what it leaves in the cache when it is killed is swept there; everything
 * else is guarded. From a cache that is read-only, one rename is all that can be done.
 */
async function guardFor(
  workspace: Workspace,
  { name, folder, steps }: { name: string; folder: string; steps: readonly Step[] },
  signal?: AbortSignal,
): Promise<RestoreGuard | undefined> {
  const isOneRename = steps.length <= 1
  if (isOneRename && !folder.startsWith(`${workspace.root}/`)) return undefined
  try {
    return await guardRestore(workspace, name, folder, signal)
  } catch (error) {
    if (isOneRename && isCacheError(error)) return undefined
    throw error
  }
}

/** What cannot be recorded is compared by content next time. */
async function remember(workspace: Workspace, name: string, record: EncodedRecord): Promise<void> {
  try {
    await saveRecord(workspace, name, record)
  } catch (error) {
    if (!isCacheError(error)) throw error
  }
}

function stepsOf({ plan, comparison }: Change, folder: string): Step[] {
  const moves = plan.parts.map(
    ({ path, before }, i): Step => ({ kind: 'move', path, before, from: stagedPath(folder, i) }),
  )
  const chmods = comparison.chmods.map(
    ({ path, identity, mode }): Step => ({ kind: 'chmod', path, before: identity, mode }),
  )
  return [...plan.clearing, ...moves, ...chmods]
}

/** A folder that a change needs and that may not be written to; found out before the first change. */
function unwritableFolder(root: string, changes: readonly { readonly path: string }[]): string | undefined {
  const folders = new Set(changes.map(({ path }) => dirname(`${root}/${path}`)))
  for (const folder of folders) {
    try {
      accessSync(folder, constants.W_OK | constants.X_OK)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') return folder
    }
  }
  return undefined
}

function restored({ entries, plan }: Change): RestoreOutcome {
  const written = plan.parts.reduce((sum, part) => sum + part.entries.filter(isLeaf).length, 0)
  return {
    kind: 'restored',
    files: entries
      .filter(isLeaf)
      .map(({ path }) => path)
      .sort(),
    written,
    bytes: contentBytes(entries),
    trashed: plan.trashed,
    left: plan.left,
  }
}

function isLeaf({ kind }: ResultEntry): boolean {
  return kind !== 'directory'
}
