import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { Artifact } from '../proto/recue/v1/recue.ts'

/** What a build tool calls something that it keeps in the cache, in its own words. */
export interface ToolKey {
  /** `turborepo`, `nx`, … */
  readonly tool: string
  readonly key: string
}

/** Of an {@link Artifact} that is packed into a result. */
export const ARTIFACT_TYPE = 'type.googleapis.com/recue.v1.Artifact'
const ARTIFACT_BYTES = Buffer.from(ARTIFACT_TYPE)

/** Undefined for results that no tool brought under a key of its own. */
export function artifactIn(result: ActionResult): Artifact | undefined {
  const packed = result.executionMetadata?.auxiliaryMetadata.find(({ typeUrl }) => typeUrl === ARTIFACT_TYPE)
  return packed && Artifact.decode(packed.value)
}

/** The same of an encoded result. Most are none, and are not decoded for it. */
export function toolKeyIn(encoded: Uint8Array): ToolKey | undefined {
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength)
  if (!bytes.includes(ARTIFACT_BYTES)) return undefined
  const artifact = artifactIn(ActionResult.decode(bytes))
  return artifact && { tool: artifact.tool, key: artifact.key }
}
