import { type ActionDigest, asActionDigest, type Digest } from '../../digest/digest.ts'
import { digestOf, sha256Hex } from '../../digest/sha256.ts'
import { ActionResult, ExecutedActionMetadata } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { ShardedResult } from '../../proto/recue/v1/sharded.ts'
import { outcomeBytes } from '../action-result-sameness.ts'
import { type Beside, digestsOf, numberedFile } from './beside.ts'

const TYPE_URL = 'type.googleapis.com/recue.v1.ShardedResult'

/** What a server is asked for in place of an action whose blobs lie on others. */
export function shardedAction({ hash }: ActionDigest): ActionDigest {
  return asActionDigest(digestOf(Buffer.from(`recue sharded result of ${hash}`)))
}

/** What a server is told that some of the blobs of an action's result lie there: it keeps those that a result names. */
export function keptBlobsAction({ hash }: ActionDigest): ActionDigest {
  return asActionDigest(digestOf(Buffer.from(`recue sharded blobs of ${hash}`)))
}

export function keptBlobs(digests: readonly Digest[]): ActionResult {
  return { ...ActionResult.decode(NOTHING), outputFiles: digests.map(numberedFile) }
}

/**
 * A result that names those blobs alone that lie beside it, and has another in it, so that a server which checks results takes it, and
 * keeps them as long. Two of them are the same work to a server where what is in them is: a link, which nobody makes, names the outcome.
 */
export function wrapped(result: ActionResult, actionBytes: number, beside: Beside): ActionResult {
  const value = ShardedResult.encode({
    result: Buffer.from(ActionResult.encode(result).finish()),
    actionBytes,
  }).finish()
  const target = sha256Hex(outcomeBytes(result))
  return {
    ...ActionResult.decode(NOTHING),
    ...beside,
    outputSymlinks: [{ path: 'outcome', target, nodeProperties: undefined }],
    executionMetadata: {
      ...ExecutedActionMetadata.decode(NOTHING),
      auxiliaryMetadata: [{ typeUrl: TYPE_URL, value: Buffer.from(value) }],
    },
  }
}

export interface Unwrapped {
  readonly result: ActionResult
  readonly encoded: Uint8Array
  readonly actionBytes: number
  /** Blobs of it that its server has. */
  readonly beside: readonly Digest[]
}

/** Undefined where there is none in it. */
export function unwrapped(outer: ActionResult): Unwrapped | undefined {
  const any = outer.executionMetadata?.auxiliaryMetadata.find(({ typeUrl }) => typeUrl === TYPE_URL)
  if (any === undefined) return undefined
  try {
    const { result: encoded, actionBytes } = ShardedResult.decode(any.value)
    return { result: ActionResult.decode(encoded), encoded, actionBytes, beside: digestsOf(outer) }
  } catch {
    return undefined
  }
}

const NOTHING = new Uint8Array(0)
