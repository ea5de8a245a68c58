import { commandDurationMs } from './action-result.ts'
import type { KeyedAction } from './keyed-action.ts'
import { listed } from './listed-paths.ts'
import { openReplay, type Replay } from './replay.ts'
import { type RestoreOutcome, restore } from './restore.ts'
import type { ActiveRun } from './run-action-active.ts'
import type { Hit } from './run-action-look.ts'
import type { RunOutcome } from './run-outcome.ts'

export type HitEnd =
  | { readonly kind: 'replayed'; readonly outcome: RunOutcome }
  /** The workspace must not be changed so; nothing was. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not all of it is there any more; nothing was changed. */
  | { readonly kind: 'incomplete'; readonly reason: string }

/** Makes the workspace what it was after the command, and shows what the command showed. Nothing is shown before all is there. */
export async function replayHit(run: ActiveRun, action: KeyedAction, { result, resultDigest }: Hit): Promise<HitEnd> {
  const { engine, options, workspace } = run
  const made = await run.attempt(async () => {
    const replay = await openReplay(result, engine.blobs, engine.scope, options.signal)
    if (replay === undefined) return INCOMPLETE
    const restored = await restore(workspace, action.outputs, result, resultDigest, options.signal)
    return { kind: 'made', replay, restored } as const
  })
  // What a restore that failed has changed already is rolled forward by the next run; this one keeps nothing of it.
  if (made === undefined) return { kind: 'refused', reason: run.fault ?? 'the restore failed' }
  if (made.kind === 'incomplete' || made.restored.kind === 'incomplete') return INCOMPLETE
  if (made.restored.kind === 'refused') return made.restored
  run.trashed(made.restored.trashed)
  if (made.restored.left.length > 0)
    run.warn(`Left among the outputs, since it is not recue's: ${listed(made.restored.left)}.`)
  if (options.replayOutput) await show(run, made.replay)
  await run.quietly(() => action.inputs.remember())
  return { kind: 'replayed', outcome: outcomeOf(run, action, { kind: 'hit', result, resultDigest }, made.restored) }
}

const INCOMPLETE = { kind: 'incomplete', reason: 'some of the kept result is gone' } as const

async function show(run: ActiveRun, replay: Replay): Promise<void> {
  const { sink, stripForcedColours, signal } = run.options
  await replay.writeTo(sink, { stripForcedColours, ...(signal && { signal }) })
}

function outcomeOf(
  run: ActiveRun,
  action: KeyedAction,
  { result }: Hit,
  restored: Extract<RestoreOutcome, { kind: 'restored' }>,
): RunOutcome {
  const { files, bytes, written } = restored
  return run.clock.outcome(
    {
      status: 'hit',
      key: action.key,
      exitCode: result.exitCode,
      source: 'local',
      outputs: files,
      outputBytes: bytes,
      written,
    },
    commandDurationMs(result),
  )
}
