import type { Digest } from '../digest/digest.ts'
import type { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Timestamp } from '../proto/google/protobuf/timestamp.ts'
import { RunDetail } from '../proto/recue/v1/recue.ts'

export const RUN_DETAIL_TYPE = 'type.googleapis.com/recue.v1.RunDetail'

/** An output stream in an action result: in the message where it is small, else by the digest of a blob. */
export type ResultStream = { readonly raw: Uint8Array } | { readonly digest: Digest }

export interface ResultParts {
  readonly outputs: Pick<ActionResult, 'outputFiles' | 'outputDirectories' | 'outputSymlinks'>
  readonly exitCode: number
  readonly stdout: ResultStream
  readonly stderr: ResultStream
  /** Unix milliseconds at which the command began. */
  readonly startedMs: number
  readonly detail: RunDetail
}

/** The message that is kept of a run. */
export function actionResult(parts: ResultParts): ActionResult {
  const { stdout, stderr, detail, startedMs } = parts
  return {
    ...parts.outputs,
    outputFileSymlinks: [],
    outputDirectorySymlinks: [],
    exitCode: parts.exitCode,
    stdoutRaw: rawOf(stdout),
    stdoutDigest: 'digest' in stdout ? stdout.digest : undefined,
    stderrRaw: rawOf(stderr),
    stderrDigest: 'digest' in stderr ? stderr.digest : undefined,
    executionMetadata: {
      worker: '',
      executionStartTimestamp: timestamp(startedMs),
      executionCompletedTimestamp: timestamp(startedMs + detail.durationMs),
      auxiliaryMetadata: [{ typeUrl: RUN_DETAIL_TYPE, value: Buffer.from(RunDetail.encode(detail).finish()) }],
    },
  }
}

/** What recue recorded of the run, or undefined for a result that another client made. Damaged detail is as none. */
export function runDetail(result: ActionResult): RunDetail | undefined {
  for (const { typeUrl, value } of result.executionMetadata?.auxiliaryMetadata ?? []) {
    if (typeUrl !== RUN_DETAIL_TYPE) continue
    try {
      return RunDetail.decode(value)
    } catch {
      return undefined
    }
  }
  return undefined
}

/** Whole wall time of the command: recue's own figure, or what the metadata's timestamps say; 0 where nobody said. */
export function commandDurationMs(result: ActionResult): number {
  const detail = runDetail(result)
  if (detail !== undefined) return detail.durationMs
  const { executionStartTimestamp: start, executionCompletedTimestamp: end } = result.executionMetadata ?? {}
  return start === undefined || end === undefined ? 0 : Math.max(0, milliseconds(end) - milliseconds(start))
}

/** When the command ended, in Unix milliseconds; undefined where the result does not say. */
export function completedMs(result: ActionResult): number | undefined {
  const end = result.executionMetadata?.executionCompletedTimestamp
  return end === undefined ? undefined : milliseconds(end)
}

function rawOf(stream: ResultStream): Buffer {
  return 'raw' in stream
    ? Buffer.from(stream.raw.buffer, stream.raw.byteOffset, stream.raw.byteLength)
    : Buffer.alloc(0)
}

function timestamp(unixMs: number): Timestamp {
  const seconds = Math.floor(unixMs / 1000)
  return { seconds, nanos: Math.round((unixMs - seconds * 1000) * 1e6) }
}

function milliseconds({ seconds, nanos }: Timestamp): number {
  return seconds * 1000 + nanos / 1e6
}
