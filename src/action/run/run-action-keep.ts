import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { sameOutcome } from '../../store/action-result-sameness.ts'
import { actionResult, type ResultStream } from '../action-result.ts'
import type { KeyedAction, Message } from '../key/keyed-action.ts'
import { listed } from '../listed-paths.ts'
import { type CaptureOutcome, capture } from '../outputs/capture.ts'
import { untouched } from '../outputs/clean-foreign.ts'
import { outputDifferences } from '../outputs/output-differences.ts'
import { flatResult } from '../outputs/result-tree.ts'
import type { ActiveRun } from './run-action-active.ts'
import type { Done } from './run-action-done.ts'
import { whyNotKept } from './run-action-verdict.ts'
import type { CapturedStream } from './stream-capture.ts'

export type Keeping =
  | { readonly kind: 'kept'; readonly files: readonly string[]; readonly bytes: number; readonly isAsBefore: boolean }
  | { readonly kind: 'not-kept'; readonly reason: string }

/** Up to this size an output stream is part of the action result: one read less for a hit. */
const INLINE_STREAM_BYTES = 16 << 10

/** Keeps what a command did, unless there is a reason not to. Blobs first; the result is published last. */
export async function keep(run: ActiveRun, action: KeyedAction, done: Done): Promise<Keeping> {
  const refusal = await whyNotKept(run, action, done)
  if (refusal !== undefined) return { kind: 'not-kept', reason: refusal }
  const stale = untouched(run.workspace.root, done.foreign)
  if (stale.length > 0) return { kind: 'not-kept', reason: whyStaleForbids(stale) }
  const captured = await capture(run.workspace, action.outputs, run.options.signal)
  switch (captured.kind) {
    case 'missing':
      return { kind: 'not-kept', reason: `the command did not make ${listed(captured.paths)}` }
    case 'unkeepable':
      return { kind: 'not-kept', reason: captured.reason }
    case 'captured': {
      const isAsBefore = await publish(run, action, done, captured)
      return { kind: 'kept', files: captured.files, bytes: captured.bytes, isAsBefore }
    }
  }
}

function whyStaleForbids(stale: readonly string[]): string {
  const [were, them] = stale.length === 1 ? ['was', 'it'] : ['were', 'them']
  return `${listed(stale)} ${were} among the outputs before, and the command did not write ${them}: remove ${them}, or take ${them} in with --no-clean`
}

/** Whether a run that was forced gave the result that was kept. */
async function publish(
  run: ActiveRun,
  action: KeyedAction,
  { end, streams }: Done,
  captured: Extract<CaptureOutcome, { kind: 'captured' }>,
): Promise<boolean> {
  const { engine, options } = run
  const [stdout, stderr] = await Promise.all([
    resultStream(run, streams.stdout),
    resultStream(run, streams.stderr),
    keepMessages(run, action),
  ])
  const result = actionResult({
    outputs: captured.outputs,
    exitCode: end.exitCode,
    stdout,
    stderr,
    startedMs: end.startedMs,
    detail: {
      streamChunks: streams.order(),
      colourForced: end.colourForced,
      durationMs: Math.round(end.durationMs),
    },
  })
  const before = options.force ? await engine.actions.get(engine.scope, action.key, options.signal) : undefined
  const found = await engine.actions.put(engine.scope, action.key, result, options.signal)
  const was = before?.kind === 'hit' ? before.result : undefined
  const isAsBefore = was !== undefined && sameOutcome(was, result)
  // Where nothing was kept here the put cannot tell; what was looked up may be a remote's.
  if (found === 'different' || (was !== undefined && !isAsBefore)) await warnOfChance(run, was, result)
  await run.quietly(() => captured.remember(digestOf(ActionResult.encode(result).finish())))
  return isAsBefore
}

async function warnOfChance(run: ActiveRun, was: ActionResult | undefined, is: ActionResult): Promise<void> {
  const [before, after] = await Promise.all(
    [was ?? is, is].map((result) => flatResult(run.workspace, result, run.options.signal)),
  )
  const isKnown = before?.kind === 'flat' && after?.kind === 'flat'
  const paths = isKnown ? outputDifferences(before.entries, after.entries) : []
  const where = paths.length === 0 ? '' : ` (${listed(paths)})`
  run.warn(
    `The command gave another result than the one kept for the same key${where}: it reads what is not in its key, or leaves something to chance.`,
  )
}

async function resultStream({ engine, options }: ActiveRun, stream: CapturedStream): Promise<ResultStream> {
  const bytes = stream.bytes()
  if (!(bytes instanceof Uint8Array)) return { digest: await engine.blobs.ingest(engine.scope, bytes, options.signal) }
  if (bytes.byteLength <= INLINE_STREAM_BYTES) return { raw: bytes }
  const digest = digestOf(bytes)
  await engine.blobs.write(engine.scope, digest, bytes, options.signal)
  return { digest }
}

/** The action, its command and its input tree, so that a later miss can be compared with this one, kept or not. */
export async function keepMessages({ engine, options }: ActiveRun, action: KeyedAction): Promise<void> {
  const { blobs, scope } = engine
  const messages: readonly Message[] = [action.action, action.command, ...action.inputs.directories()]
  const byHash = new Map(messages.map((message) => [message.digest.hash, message]))
  const missing: readonly Digest[] = await blobs.missing(
    scope,
    [...byHash.values()].map(({ digest }) => digest),
    options.signal,
  )
  const writes = missing.map(({ hash }) => byHash.get(hash)).filter((message) => message !== undefined)
  await Promise.all(writes.map(({ digest, bytes }) => blobs.write(scope, digest, bytes, options.signal)))
}
