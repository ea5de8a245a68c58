import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'

/**
 * Whether two results of an action are the same work: exit code and outputs. What was printed may differ (times, paths
 * of temporary files), and metadata always does.
 */
export function sameOutcome(a: ActionResult, b: ActionResult): boolean {
  return Buffer.from(outcomeBytes(a)).equals(outcomeBytes(b))
}

/** What two results have alike that are the same work. */
export function outcomeBytes(result: ActionResult): Uint8Array {
  const nothing = ActionResult.decode(new Uint8Array(0))
  const { exitCode, outputFiles, outputDirectories, outputSymlinks } = result
  return ActionResult.encode({ ...nothing, exitCode, outputFiles, outputDirectories, outputSymlinks }).finish()
}
