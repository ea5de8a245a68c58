import type { StreamName } from '../action/run/stream-order.ts'
import type { RunNotice, RunOutcome } from '../action/run-outcome.ts'
import { type Output, writeAll, writeAllWaiting } from './output.ts'
import { outcomeLine } from './run-line.ts'
import { type RunReport, reportOf } from './run-report.ts'
import { type Runner, runWork } from './runner.ts'
import { openVoice } from './voice.ts'
import type { Work } from './work.ts'

/** Runs one command as if it stood there alone: its streams are its own. */
export async function runOne(
  work: Work,
  runner: Runner,
  output: Output,
): Promise<{ readonly outcome: RunOutcome; readonly report: () => RunReport }> {
  const { settings } = work
  const { paint } = output.stderr.terminal
  const { quiet, verbose } = settings
  const voice = openVoice({ write: (text) => writeAll(2, text), paint, quiet, verbose })
  // With --json, standard output is the report's.
  const stdout = settings.json ? 2 : 1
  const { witness } = runner
  const to = (stream: StreamName, descriptor: number) => async (chunk: Uint8Array) => {
    try {
      await writeAllWaiting(descriptor, chunk)
      witness?.printed(stream, chunk)
    } catch (error) {
      witness?.unsure()
      throw error
    }
  }
  const notice = (said: RunNotice) => {
    witness?.unsure()
    voice.notice(said)
  }
  const outcome = await runWork(work, runner, {
    sink: { stdout: to('stdout', stdout), stderr: to('stderr', 2) },
    notice,
  })
  const why = await whyMissed(work, outcome, runner)
  if (settings.outputLogs !== 'none' && outcome.status !== 'bypassed') voice.say(outcomeLine(outcome, { paint, why }))
  if (outcome.status === 'bypassed') voice.detail(outcomeLine(outcome, { paint, why }))
  return {
    outcome,
    report: () => reportOf(work, why === undefined ? outcome : { ...outcome, reason: why }),
  }
}

/** What changed since the last run of the same thing, where a few words say it. Never a reason to fail. */
export async function whyMissed(
  { task, request, settings }: Work,
  outcome: RunOutcome,
  runner: Runner,
): Promise<string | undefined> {
  const { cache } = runner
  if (outcome.status !== 'miss' || outcome.key === undefined || cache === undefined || settings.force) return undefined
  try {
    const [{ why }, { shortWhy }, { storedMessages }, { thingOf }, { DEFAULT_SCOPE }, { UNANSWERED }] =
      await Promise.all([
        import('../observe/why.ts'),
        import('../observe/why-text.ts'),
        import('../observe/messages.ts'),
        import('../observe/thing.ts'),
        import('../store/contracts.ts'),
        import('../action/run/run-action-look.ts'),
      ])
    const { root, workingDirectory, argv } = request
    const thing = thingOf({ root, workingDirectory, task, argv })
    const messages = storedMessages(cache.blobs, DEFAULT_SCOPE)
    const short = shortWhy(
      await why({ thing, after: outcome.key, beforeMs: outcome.startedMs }, { ledger: cache.ledger, messages }),
    )
    // Else it would look as if nobody had it.
    return short !== undefined && outcome.reason === UNANSWERED
      ? `${short}; the remote cache had not answered in time`
      : short
  } catch {
    return undefined
  }
}
