import { commandDurationMs } from '../action-result.ts'
import type { KeyedAction } from '../key/keyed-action.ts'
import { listed } from '../listed-paths.ts'
import type { RestoreOutcome } from '../outputs/restore-outcome.ts'
import { standing } from '../outputs/standing.ts'
import type { RunOutcome } from '../run-outcome.ts'
import { openReplay, type Replay } from './replay.ts'
import type { ActiveRun } from './run-action-active.ts'
import type { Hit } from './run-action-look.ts'
import type { StreamName } from './stream-order.ts'
import { patient, READER_GONE_EXIT } from './stream-sink.ts'

export type HitEnd =
  | { readonly kind: 'replayed'; readonly outcome: RunOutcome }
  /** The workspace must not be changed so; nothing was. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not all of it is there any more; nothing was changed. */
  | { readonly kind: 'incomplete'; readonly reason: string }

/** Makes the workspace what it was after the command, and shows what the command showed. Nothing is shown before all is there. */
export async function replayHit(run: ActiveRun, action: KeyedAction, hit: Hit): Promise<HitEnd> {
  const { engine, options } = run
  const replay = await run.attempt(() => openReplay(hit.result, engine.blobs, engine.scope, options.signal))
  if (run.fault !== undefined) return { kind: 'refused', reason: run.fault }
  if (replay === undefined) return INCOMPLETE
  const asItShouldBe = standingOf(run, action, hit)
  const left = asItShouldBe === undefined ? await leftFar(run, action, hit) : undefined
  const restored = asItShouldBe ?? left ?? (await restoreAlone(run, action, hit))
  if (restored.kind === 'refused') return restored
  if (restored.kind === 'incomplete') return INCOMPLETE
  run.trashed(restored.trashed)
  if (restored.left.length > 0) run.warn(`Left among the outputs, since it is not recue's: ${listed(restored.left)}.`)
  const isHeard = !options.replayOutput || (await show(run, replay))
  await run.quietly(() => action.inputs.remember())
  return { kind: 'replayed', outcome: outcomeOf(run, action, hit, { restored, isHeard, isLeft: left !== undefined }) }
}

/** Loaded where outputs may be left at all. */
async function leftFar(run: ActiveRun, action: KeyedAction, hit: Hit): Promise<RestoreOutcome | undefined> {
  if (hit.place === undefined || run.engine.leavesOutputs !== true) return undefined
  return (await import('./run-action-left.ts')).leftFar(run, action, hit)
}

function standingOf(run: ActiveRun, action: KeyedAction, { resultDigest }: Hit): RestoreOutcome | undefined {
  try {
    return standing(run.workspace, action.outputs, resultDigest, run.options.witness)
  } catch {
    // What is wrong with the record or the files, the restore finds out and says.
    return undefined
  }
}

/** Waits for those who write the same outputs, and keeps others from it. */
async function restoreAlone(run: ActiveRun, action: KeyedAction, hit: Hit): Promise<RestoreOutcome> {
  const [{ holdOutputs }, { restore }] = await Promise.all([
    import('./run-action-outputs.ts'),
    import('../outputs/restore.ts'),
    // What decompresses asks for it at once; loaded this way it takes Bun a quarter less long.
    import('node:zlib'),
  ])
  await using _outputs = await holdOutputs(run, action.outputs)
  const { workspace, options } = run
  const restored = await run.attempt(() =>
    restore(workspace, action.outputs, hit.result, hit.resultDigest, options.signal),
  )
  // What a restore that failed has changed already is rolled forward by the next run; this one keeps nothing of it.
  return restored ?? { kind: 'refused', reason: run.fault ?? 'the restore failed' }
}

const INCOMPLETE = { kind: 'incomplete', reason: 'some of the kept result is gone' } as const

/** False when the reader went away before the end: what is left is not shown, as the command could not have shown it. */
async function show(run: ActiveRun, replay: Replay): Promise<boolean> {
  const { sink, stripForcedColours, signal } = run.options
  const shown = patient(sink)
  const untilGone = (stream: StreamName) => async (chunk: Uint8Array) => {
    await shown[stream](chunk)
    if (shown.isGone(stream)) throw NOBODY_READS
  }
  try {
    const to = { stdout: untilGone('stdout'), stderr: untilGone('stderr') }
    await replay.writeTo(to, { stripForcedColours, ...(signal && { signal }) })
    return true
  } catch (error) {
    if (error !== NOBODY_READS) throw error
    const failure = shown.failure()
    if (failure !== undefined) throw failure
    return false
  }
}

const NOBODY_READS = Symbol('nobody reads')

function outcomeOf(
  run: ActiveRun,
  action: KeyedAction,
  { result, place }: Hit,
  {
    restored,
    isHeard,
    isLeft,
  }: { restored: Extract<RestoreOutcome, { kind: 'restored' }>; isHeard: boolean; isLeft: boolean },
): RunOutcome {
  const { files, bytes, written } = restored
  return run.clock.outcome(
    {
      status: 'hit',
      key: action.key,
      exitCode: isHeard ? result.exitCode : READER_GONE_EXIT,
      source: place === undefined ? 'local' : 'remote',
      outputs: files,
      outputBytes: bytes,
      written,
      isLeft,
    },
    commandDurationMs(result),
  )
}
