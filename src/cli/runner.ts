import type { RunOptions, RunOutcome } from '../action/run-outcome.ts'
import type { Cache, CacheRunOptions } from '../cache.ts'
import { cacheModeOf } from './cache-mode.ts'
import type { HitWitness } from './repeat/hit-witness.ts'
import type { CommandRemote } from './run-remote.ts'
import type { Terminal } from './terminal.ts'
import type { Work } from './work.ts'

/** What all runs of one command share. */
export interface Runner {
  /** Undefined: there is no store to be had, and `withoutCache` says why. */
  readonly cache: Cache | undefined
  readonly withoutCache: string
  readonly remote: CommandRemote | undefined
  /** Of the stream that the command's standard output goes to. */
  readonly terminal: Terminal
  /** Of a command that is run alone. */
  readonly witness?: HitWitness | undefined
}

export interface Showing extends Pick<RunOptions, 'sink' | 'notice' | 'turn' | 'left' | 'onLeft'> {}

/** Runs one work, by the cache where there is one. Throws what `Cache.run` throws. */
export async function runWork(work: Work, runner: Runner, showing: Showing): Promise<RunOutcome> {
  const { settings, request, task } = work
  const held =
    settings.outputLogs === 'errors-only'
      ? (await import('./tasks/task-output.ts')).heldOutput(showing.sink)
      : undefined
  const options = runOptionsOf(work, runner, { ...showing, sink: held ?? showing.sink })
  const { cache } = runner
  const outcome =
    cache === undefined
      ? await (await import('../action/run/run-action-unkept.ts')).runUncached(request, options, runner.withoutCache)
      : await cache.run(request, { ...options, ...(task !== undefined && { task }), ...remoteOf(work, runner) })
  if (outcome.exitCode !== 0) await held?.release()
  return outcome
}

function remoteOf({ settings }: Work, { remote }: Runner): Pick<CacheRunOptions, 'remote'> {
  return remote === undefined
    ? {}
    : { remote: remote.forRun(cacheModeOf(settings.cache), settings.remoteDownload === 'none' ? 'none' : 'all') }
}

function runOptionsOf({ settings }: Work, { terminal, witness }: Runner, showing: Showing): RunOptions {
  const { outputLogs } = settings
  const mode = cacheModeOf(settings.cache)
  return {
    read: mode.read,
    write: mode.write,
    force: settings.force,
    cacheFailures: settings.cacheFailures,
    clean: settings.clean,
    interactive: settings.interactive,
    terminal: terminal.isTerminal ? terminal : undefined,
    stripForcedColours: !terminal.colours,
    timeoutMs: settings.timeout,
    waitMs: settings.wait,
    scratch: settings.scratch,
    replayOutput: outputLogs === 'full' || outputLogs === 'errors-only',
    liveOutput: outputLogs === 'full' || outputLogs === 'new-only' || outputLogs === 'errors-only',
    ...showing,
    hostSignals: true,
    witness,
  }
}
