import { homedir } from 'node:os'
import { join } from 'node:path'
import type { KeyedAction } from '../../action/key/keyed-action.ts'
import { type LeftOutputs, wouldStand } from '../../action/outputs/left-outputs.ts'
import { standing } from '../../action/outputs/standing.ts'
import { keyOverLeft } from '../../action/run/key-over-left.ts'
import type { Workspace } from '../../action/workspace.ts'
import type { ActionDigest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import type { TieredStore } from '../../store/tiered/tiered.ts'
import type { Session } from '../command.ts'
import { dependenciesOf, type Plan } from '../tasks/plan.ts'
import { taskWork, type Work, type WorkSource } from '../work.ts'
import { whyOf } from './transfer-words.ts'

/** How it stands with one task after all was fetched that there is. */
export interface Warmed {
  readonly task: string
  /** Undefined where none can be told, for `reason`. */
  readonly key: ActionDigest | undefined
  readonly state: 'here' | 'fetched' | 'absent' | 'failed' | 'no-key'
  readonly reason: string | undefined
}

/** A task whose result is here by now, or is nowhere. */
interface Settled extends Warmed {
  /** What it makes: what is there, what is told here and would be there, or nobody knows what. */
  readonly makes: 'what-stands' | 'unknown' | LeftOutputs
}

export interface WarmReport {
  readonly tasks: readonly Warmed[]
  readonly blobs: number
  readonly bytes: number
}

type Source = Session & Omit<WorkSource, 'dependencyKeys'>

/**
 * Fetches the results of a plan's tasks, those first that others build on: with these here the keys of those others are made as
 * they are once all of it is in its place. Nothing in the workspace is changed. Rejects only when aborted.
 */
export async function warmTasks(
  plan: Plan,
  source: Source,
  tier: TieredStore,
  signal: AbortSignal,
): Promise<WarmReport> {
  const warming = new Warming(plan, source, tier, signal)
  for (let left = [...plan.keys()]; left.length > 0; ) left = await warming.next(left)
  return warming.report
}

class Warming {
  readonly #plan: Plan
  readonly #source: Source
  readonly #tier: TieredStore
  readonly #signal: AbortSignal
  readonly #settled = new Map<string, Settled | undefined>()
  readonly #keys = new Map<string, string>()
  #blobs = 0
  #bytes = 0

  constructor(plan: Plan, source: Source, tier: TieredStore, signal: AbortSignal) {
    this.#plan = plan
    this.#source = source
    this.#tier = tier
    this.#signal = signal
  }

  get report(): WarmReport {
    const tasks = [...this.#plan.keys()].flatMap((task) => this.#settled.get(task) ?? [])
    return { tasks, blobs: this.#blobs, bytes: this.#bytes }
  }

  /** Settles those that build on settled ones alone; those that are left. */
  async next(tasks: readonly string[]): Promise<string[]> {
    const ready = tasks.filter((task) => this.#plan.get(task)?.every((needed) => this.#settled.has(needed)))
    const wanted: Wanted[] = []
    for (const task of ready) {
      const work = taskWork(task, [], { ...this.#source, dependencyKeys: this.#keys })
      // One without a command stands for those that it depends on.
      if (work === undefined) this.#settled.set(task, undefined)
      else wanted.push({ task, work, ...(await this.#keyOf(task, work)) })
    }
    await this.#fetch(wanted)
    return tasks.filter((task) => !this.#settled.has(task))
  }

  async #fetch(wanted: readonly Wanted[]): Promise<void> {
    const { cache } = this.#source
    const missing: ActionDigest[] = []
    for (const { key } of wanted)
      if (key !== undefined && (await cache.actions.get(DEFAULT_SCOPE, key)).kind === 'miss') missing.push(key)
    const { absent, failed, blobs, bytes } = await this.#tier.pull(DEFAULT_SCOPE, missing, this.#signal)
    this.#blobs += blobs
    this.#bytes += bytes
    const [asked, gone] = [hashesOf(missing), hashesOf(absent)]
    const faults = new Map(failed.map(({ action, error }) => [action.hash, error]))
    const stateOf = (key: ActionDigest | undefined): Warmed['state'] => {
      if (key === undefined) return 'no-key'
      if (!asked.has(key.hash)) return 'here'
      if (faults.has(key.hash)) return 'failed'
      return gone.has(key.hash) ? 'absent' : 'fetched'
    }
    for (const one of wanted) {
      const { task, key } = one
      const error = key && faults.get(key.hash)
      const reason = error === undefined ? one.reason : whyOf(error)
      this.#settled.set(task, { task, key, state: stateOf(key), reason, makes: await this.#makes(one) })
      if (key !== undefined) this.#keys.set(task, key.hash)
    }
  }

  /** By what is kept here by now. */
  async #makes({ work, action, reason }: Wanted): Promise<Settled['makes']> {
    if (action === undefined || reason !== undefined) return 'unknown'
    if (action.outputs.length === 0) return 'what-stands'
    const found = await this.#source.cache.actions.get(DEFAULT_SCOPE, action.key)
    if (found.kind === 'miss') return 'unknown'
    const workspace = this.#workspaceOf(work)
    if (standing(workspace, action.outputs, found.resultDigest) !== undefined) return 'what-stands'
    return (await wouldStand(workspace, action.outputs, found.result, this.#signal)) ?? 'unknown'
  }

  /** The key as it will be; else that of the files as they are, with the reason why it may be another. */
  async #keyOf(task: string, work: Work): Promise<Key> {
    const needed = dependenciesOf(task, this.#plan).flatMap((name) => this.#settled.get(name) ?? [])
    const unknown = needed.filter(({ makes }) => makes === 'unknown')
    if (unknown.length > 0) return { ...(await this.#keyNow(work)), reason: whyUnsure(unknown) }
    const told = needed.flatMap(({ makes }) => (typeof makes === 'string' ? [] : [makes]))
    if (told.length === 0) return this.#keyNow(work)
    const signal = this.#signal
    const action = await keyOverLeft(work.request, this.#workspaceOf(work), told, { isReplacing: true, signal })
    if (action !== undefined) return { key: action.key, action, reason: undefined }
    return { ...(await this.#keyNow(work)), reason: whyUnsure(needed) }
  }

  /** What a task reads may still have to be made by another one. */
  async #keyNow({ request }: Work): Promise<Key> {
    try {
      const keyed = await this.#source.cache.key(request)
      if (keyed.kind === 'unkeyable') return { key: undefined, reason: keyed.reason }
      return { key: keyed.action.key, action: keyed.action, reason: undefined }
    } catch (error) {
      const isToCome = isCacheError(error) && /^(input|command)\./.test(error.code)
      if (!isToCome) throw error
      return { key: undefined, reason: error.message }
    }
  }

  #workspaceOf({ request: { root, workingDirectory } }: Work): Workspace {
    const { cache, environment } = this.#source
    const { blobs, records, leases, dir } = cache
    const folders = { cacheDir: dir, trashDir: join(dir, 'trash'), tmpDir: join(dir, 'tmp') }
    return {
      ...{ root, workingDirectory, blobs, records, leases, ...folders },
      scope: DEFAULT_SCOPE,
      home: environment.HOME || homedir(),
    }
  }
}

function hashesOf(keys: readonly ActionDigest[]): ReadonlySet<string> {
  return new Set(keys.map(({ hash }) => hash))
}

interface Key {
  readonly key: ActionDigest | undefined
  readonly action?: KeyedAction
  readonly reason: string | undefined
}

interface Wanted extends Key {
  readonly task: string
  readonly work: Work
}

/** Where it cannot be told what a task will read. */
function whyUnsure(needed: readonly Warmed[]): string {
  return `it builds on ${needed.map(({ task }) => task).join(', ')}: run that first`
}
