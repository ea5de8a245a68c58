import type { KeyedAction } from '../key/keyed-action.ts'
import { type Cleaned, clean } from '../outputs/clean.ts'
import type { Foreign } from '../outputs/clean-foreign.ts'
import { refuseInputsAmong } from '../outputs/output-declarations.ts'
import type { RunOutcome } from '../run-outcome.ts'
import { fileClockMs } from './file-clock.ts'
import type { ActiveRun } from './run-action-active.ts'
import { replayHit } from './run-action-hit.ts'
import { type Keeping, keep, keepMessages } from './run-action-keep.ts'
import { settleLeftovers } from './run-action-leftovers.ts'
import { type Hit, look } from './run-action-look.ts'
import { holdOutputs } from './run-action-outputs.ts'
import { runUnkept, sayWithheld } from './run-action-unkept.ts'
import { type Boarding, type Flight, singleFlight } from './single-flight.ts'
import { StreamCapture } from './stream-capture.ts'

/**
 * Nothing was found, for `reason`: the command runs, once for all who ask for it at the same time, and what comes of it
 * is kept. Throws `output.refused` for an output that is or contains an input, before anything in its way is touched.
 */
export async function runMiss(run: ActiveRun, action: KeyedAction, reason: string): Promise<RunOutcome> {
  await refuseInputsAmong(action.outputs, action.inputs, run.workspace)
  if (run.fault !== undefined) return runUnkept(run, action, action.key, run.fault)
  if (!run.options.write) {
    const why = run.engine.isReadOnly === true ? 'the cache folder cannot be written' : 'the cache is not to be written'
    return runUnkept(run, action, action.key, `${reason}, and ${why}`)
  }
  const boarding = await board(run, action)
  switch (boarding.kind) {
    case 'alone':
      return runAndKeep(run, action, reason)
    case 'lead':
      return lead(run, action, reason, boarding.flight)
    case 'found':
      return replayOrRun(run, action, boarding.value)
  }
}

async function replayOrRun(run: ActiveRun, action: KeyedAction, hit: Hit): Promise<RunOutcome> {
  const end = await replayHit(run, action, hit)
  if (end.kind === 'replayed') return end.outcome
  if (end.kind === 'refused') return runUnkept(run, action, action.key, end.reason)
  return runAndKeep(run, action, end.reason)
}

/** Those who wait learn that there is nothing to wait for, whether the work was not kept or could not be done. */
async function lead(run: ActiveRun, action: KeyedAction, reason: string, flight: Flight): Promise<RunOutcome> {
  await using leading = flight
  // Whoever has no turn any more leaves the work to one of those who wait.
  const hasWaited = await run.takeTurn()
  let isKept = false
  try {
    const outcome = await runInTurn(run, action, reason, hasWaited)
    isKept = outcome.status === 'miss'
    return outcome
  } finally {
    if (!isKept && run.options.signal?.aborted !== true) await run.quietly(() => leading.keptNothing())
  }
}

/** What was looked for before its turn came may be there now; else another machine may be at it. */
async function runInTurn(run: ActiveRun, action: KeyedAction, reason: string, hasWaited: boolean): Promise<RunOutcome> {
  const again = hasWaited ? await look(run, action) : undefined
  if (again?.kind === 'hit') return replayOrRun(run, action, again.hit)
  if (run.engine.fleet === undefined) return runAndKeep(run, action, reason)
  const { boardFleet, leadFleet } = await import('./run-action-fleet.ts')
  const boarding = await boardFleet(run, action, run.engine.fleet)
  switch (boarding.kind) {
    case 'alone':
      return runAndKeep(run, action, reason)
    case 'found':
      return replayOrRun(run, action, boarding.value)
    case 'lead':
      return leadFleet(boarding.lease, () => runAndKeep(run, action, reason))
  }
}

async function board(run: ActiveRun, action: KeyedAction): Promise<Boarding<Hit>> {
  const { engine, options, request, clock } = run
  // Who must not use a result has no reason to wait for one.
  if (!options.read || options.force) return ALONE
  const flight = () =>
    singleFlight(engine, {
      name: action.key.hash,
      label: request.argv.join(' '),
      onWait: (holder) => options.notice({ kind: 'waiting', holder }),
      look: async () => {
        const again = await look(run, action)
        return again.kind === 'hit' ? again.hit : undefined
      },
      waitMs: options.waitMs,
      signal: options.signal,
    })
  return (await run.attempt(() => clock.elsewhere(flight))) ?? ALONE
}

const ALONE = { kind: 'alone', why: 'kept-nothing' } as const

async function runAndKeep(run: ActiveRun, action: KeyedAction, missed: string): Promise<RunOutcome> {
  await run.takeTurn()
  await using _outputs = await holdOutputs(run, action.outputs)
  const cleaned = await makeReady(run, action)
  let isKept = false
  try {
    const outcome = await runFrom(run, action, cleaned?.foreign ?? [], missed)
    isKept = outcome.status === 'miss'
    return outcome
  } finally {
    // Without a clean start nobody can tell what was there before.
    if (cleaned !== undefined) await run.quietly(() => settleLeftovers(run, action, cleaned, isKept))
  }
}

async function runFrom(
  run: ActiveRun,
  action: KeyedAction,
  foreign: readonly Foreign[],
  missed: string,
): Promise<RunOutcome> {
  const { clock, options } = run
  using streams = new StreamCapture(run.engine.tmpDir)
  options.notice({ kind: 'started' })
  const sinceMs = fileClockMs(run.engine.tmpDir)
  const end = await run.execute(action, streams)
  sayWithheld(action.environment, end, options.notice)
  const kept = await keepUnlessFaulty(run, () => keep(run, action, { end, streams, sinceMs, foreign }))
  if (kept.kind === 'not-kept' && run.fault === undefined) await run.quietly(() => keepMessages(run, action))
  await run.quietly(() => action.inputs.remember())
  const common = { key: action.key, exitCode: end.exitCode }
  if (kept.kind !== 'kept') return clock.outcome({ ...common, status: 'uncached', reason: kept.reason })
  const reason = kept.isAsBefore ? `${missed}, and the result is as it was` : missed
  return clock.outcome({ ...common, status: 'miss', reason, outputs: kept.files, outputBytes: kept.bytes })
}

/** A clean start, or what an earlier run left would become part of the result. Undefined where there was none. */
async function makeReady(run: ActiveRun, action: KeyedAction): Promise<Cleaned | undefined> {
  const secrets = action.environment.suspicious
  if (secrets.length > 0)
    run.warn(`${secrets.join(', ')} may be secret, and is in the key: use --pass-env for what must not count.`)
  if (!run.options.clean || run.fault !== undefined) return undefined
  return run.attempt(() => clean(run.workspace, action.outputs, run.options.signal))
}

async function keepUnlessFaulty(run: ActiveRun, work: () => Promise<Keeping>): Promise<Keeping> {
  const kept = run.fault === undefined ? await run.attempt(work) : undefined
  return kept ?? { kind: 'not-kept', reason: run.fault ?? 'the cache failed' }
}
