import type { ActionDigest, Digest } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { CacheError } from '../../../errors.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { sameOutcome } from '../../action-result-sameness.ts'
import type { ActionLookup, ActionStore, BlobStore, PutOutcome, Scope } from '../../contracts.ts'
import { head } from '../../head.ts'
import { reportCorruption } from '../../local/corrupt.ts'
import { namedBlobs } from '../../named-blobs.ts'
import { readWhole } from '../../read-whole.ts'
import { actionObject, readActionObject } from './action-object.ts'
import type { ObjectKeys } from './object-keys.ts'
import type { S3Client } from './s3-client.ts'

/** Far more than a result with no content in it has. */
const MOST_RESULT_BYTES = 8 << 20

/** Where the blobs of action results lie: how they are looked for. */
export interface NamedIn {
  hasAll(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<boolean>
  /** A tree or a directory. */
  readHeld(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<Uint8Array | undefined>
}

export function namedIn(blobs: BlobStore): NamedIn {
  return {
    hasAll: async (scope, digests, signal) => (await blobs.missing(scope, digests, signal)).length === 0,
    readHeld: (scope, digest, signal) => readWhole(blobs, scope, digest, signal),
  }
}

/**
 * The action results of a bucket, an object for each. Nobody but its clients looks whether a result is complete: all of its blobs are asked
 * for at each put and at each hit. Between that and a reader's first read a rule of the bucket may take one away.
 */
export class S3Actions implements ActionStore {
  readonly #client: S3Client
  readonly #keys: ObjectKeys
  readonly #blobs: BlobStore
  readonly #wanted: NamedIn

  /** `wanted`: how blobs are looked for where somebody wants the result, who mostly wants them next. */
  constructor(client: S3Client, keys: ObjectKeys, blobs: BlobStore, wanted: NamedIn = namedIn(blobs)) {
    this.#client = client
    this.#keys = keys
    this.#blobs = blobs
    this.#wanted = wanted
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    const found = await this.#found(scope, action, signal)
    if (found.kind === 'miss' || (await isWhole(this.#wanted, scope, found.result, signal))) return found
    return { kind: 'miss', why: 'incomplete' }
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    const [before, isComplete] = await Promise.all([
      this.#found(scope, action, signal),
      isWhole(namedIn(this.#blobs), scope, result, signal),
    ])
    const { place } = this.#client.address
    if (!isComplete)
      throw new CacheError('store.incomplete', `${place} does not have all blobs that the action result names.`, {
        hint: 'The result was not kept there; what a rule of the bucket took away comes again with the next run.',
        context: { server: place },
      })
    const bytes = actionObject(scope, action, ActionResult.encode(result).finish())
    const headers = { 'content-type': 'application/octet-stream' }
    const key = this.#keys.action(scope, action)
    await using _ = await this.#client.ask({ method: 'PUT', key, headers, body: { bytes }, signal })
    if (before.kind === 'miss') return 'new'
    return sameOutcome(before.result, result) ? 'same' : 'different'
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    const key = this.#keys.action(scope, action)
    await using found = await this.#client.ask({ method: 'HEAD', key, signal: undefined })
    if (found.status === 404) return false
    await using _ = await this.#client.ask({ method: 'DELETE', key, signal: undefined })
    return true
  }

  /** Whatever became of its blobs. */
  async #found(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    const key = this.#keys.action(scope, action)
    await using answer = await this.#client.ask({ method: 'GET', key, signal })
    if (answer.status === 404) return { kind: 'miss', why: 'absent' }
    const { whole } = await head(answer.body, MOST_RESULT_BYTES, { signal })
    const found = whole && readActionObject(scope, action, whole)
    if (found?.kind === 'other-size') return { kind: 'miss', why: 'absent' }
    if (found?.kind === 'result') {
      const { encoded } = found
      return { kind: 'hit', result: ActionResult.decode(encoded), encoded, resultDigest: digestOf(encoded) }
    }
    reportCorruption('an action result of a remote cache', `${this.#client.address.place}: ${action.hash}`)
    return { kind: 'miss', why: 'corrupt' }
  }
}

async function isWhole(blobs: NamedIn, scope: Scope, result: ActionResult, signal?: AbortSignal): Promise<boolean> {
  const named = await namedBlobs(result, (digest) => blobs.readHeld(scope, digest, signal))
  return named !== undefined && blobs.hasAll(scope, named.digests, signal)
}
