import { type ActionDigest, UNKNOWN_BYTES } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { CacheError } from '../../../errors.ts'
import { GrpcCode } from '../../../grpc/status.ts'
import { DigestFunction_Value } from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { sameOutcome } from '../../action-result-sameness.ts'
import type { ActionLookup, ActionStore, PutOutcome, Scope } from '../../contracts.ts'
import { reportCorruption } from '../../local/corrupt.ts'
import { ALL_OUTPUT_FILES } from '../all-output-files.ts'
import type { ArrivedBlobs } from '../arrived-blobs.ts'
import { decoded } from '../grpc/grpc-channel.ts'
import { abortable } from '../waiting.ts'
import type { ReapiOptions } from './reapi-blobs.ts'
import { GET_RESULT, UPDATE_RESULT } from './reapi-methods.ts'
import { hasCode, keepFault, statusFault } from './status-fault.ts'

const digestFunction = DigestFunction_Value.SHA256
const NOTHING = Buffer.alloc(0)
const ABSENT = { kind: 'miss', why: 'absent' } as const

/**
 * The action results of a server. That a result is complete is the server's word. What REAPI cannot say: an action of unknown
 * size is not found, and nothing can be removed.
 */
export function reapiActions(options: ReapiOptions): ActionStore {
  return new ReapiActions(options)
}

class ReapiActions implements ActionStore {
  readonly #options: ReapiOptions

  constructor(options: ReapiOptions) {
    this.#options = options
  }

  /** One round trip, also the first: whether the server is of use is asked at the same time. */
  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    signal?.throwIfAborted()
    if (action.sizeBytes === UNKNOWN_BYTES) return ABSENT
    const { capabilities, arrived, channel } = this.#options
    const [bytes] = await Promise.all([this.#found(scope, action, signal), capabilities.get(scope.instance, signal)])
    if (bytes === undefined) return ABSENT
    const came = decoded(ActionResult, bytes, channel.server)
    const result = unpacked(came, arrived)
    if (result === undefined) {
      reportCorruption('an action result of a remote cache', `${channel.server.place}: ${action.hash}`)
      return { kind: 'miss', why: 'corrupt' }
    }
    const encoded = result === came ? bytes : ActionResult.encode(result).finish()
    return { kind: 'hit', result, encoded, resultDigest: digestOf(encoded) }
  }

  /** Two round trips: what is there is looked at first. */
  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    const { channel, capabilities } = this.#options
    const { server } = channel
    const before = await this.get(scope, action, signal)
    if (!(await capabilities.get(scope.instance, signal)).takesResults)
      throw new CacheError('remote.denied', `${server.place} takes no results, or none of this token.`, {
        hint: 'To keep results a token is needed that may write.',
        context: { server: server.place, status: GrpcCode.PERMISSION_DENIED },
      })
    const { instance: instanceName } = scope
    const request = { instanceName, actionDigest: action, actionResult: result, digestFunction }
    try {
      await channel.unary(UPDATE_RESULT, request, signal)
    } catch (error) {
      if (!hasCode(error, GrpcCode.FAILED_PRECONDITION) && !isNoTree(error)) throw keepFault(server, error)
      throw new CacheError('store.incomplete', `${server.place} did not keep the action result: ${error.message}`)
    }
    if (before.kind === 'miss') return 'new'
    return sameOutcome(before.result, result) ? 'same' : 'different'
  }

  /** REAPI has no word for it. */
  async remove(): Promise<boolean> {
    return false
  }

  async #found({ instance }: Scope, actionDigest: ActionDigest, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const { channel } = this.#options
    const wanted = { inlineStdout: true, inlineStderr: true, inlineOutputFiles: [ALL_OUTPUT_FILES] }
    const request = { instanceName: instance, actionDigest, digestFunction, ...wanted }
    try {
      return await abortable(channel.unary(GET_RESULT, request, signal), signal)
    } catch (error) {
      if (hasCode(error, GrpcCode.NOT_FOUND)) return undefined
      throw statusFault(channel.server, error)
    }
  }
}

/** What recue's own server says of a result that names as a tree what is none. */
function isNoTree(error: unknown): error is Error {
  return hasCode(error, GrpcCode.INVALID_ARGUMENT) && /tree/.test(error.message)
}

/**
 * The result as it is kept: content that came within it and has a digest goes to the blobs that arrived. The same result where
 * there was none; undefined where content is not what its digest says.
 */
function unpacked(result: ActionResult, arrived: ArrivedBlobs): ActionResult | undefined {
  const { stdoutDigest, stdoutRaw, stderrDigest, stderrRaw, outputFiles } = result
  const isOut = stdoutDigest !== undefined && stdoutRaw.length > 0
  const isErr = stderrDigest !== undefined && stderrRaw.length > 0
  if (isOut && !arrived.add(stdoutDigest, stdoutRaw)) return undefined
  if (isErr && !arrived.add(stderrDigest, stderrRaw)) return undefined
  let isChanged = isOut || isErr
  for (const { digest, contents } of outputFiles) {
    if (digest === undefined || contents.length === 0) continue
    if (!arrived.add(digest, contents)) return undefined
    isChanged = true
  }
  if (!isChanged) return result
  return {
    ...result,
    stdoutRaw: isOut ? NOTHING : stdoutRaw,
    stderrRaw: isErr ? NOTHING : stderrRaw,
    outputFiles: outputFiles.map((file) => (file.digest === undefined ? file : { ...file, contents: NOTHING })),
  }
}
