import type { ActionDigest, Digest } from '../../digest/digest.ts'
import { CacheError, type ErrorCode } from '../../errors.ts'
import type { Bytes, ReadOptions, Scope } from '../contracts.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import type { Asked } from './guard-events.ts'

/** What an end does before it answers as a memory would: waits, throws, or never answers. */
export type Script = (what: Asked, signal: AbortSignal | undefined, number: number) => Promise<unknown>

export interface ScriptedEnd extends RemoteEnd {
  readonly asked: Asked[]
  /** Now, and the most there were at once. */
  readonly underWay: { now: number; most: number }
  /** Calls that were given up by their signal. */
  readonly givenUp: Asked[]
}

/** An end in memory, every call of which follows a script. */
export function scriptedEnd(script: Script, store: Pick<RemoteEnd, 'blobs' | 'actions'> = memoryStore()): ScriptedEnd {
  const asked: Asked[] = []
  const givenUp: Asked[] = []
  const underWay = { now: 0, most: 0 }
  const after = async <T>(what: Asked, signal: AbortSignal | undefined, answer: () => Promise<T>): Promise<T> => {
    signal?.throwIfAborted()
    asked.push(what)
    underWay.most = Math.max(underWay.most, ++underWay.now)
    const onAbort = () => givenUp.push(what)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await script(what, signal, asked.length - 1)
      return await answer()
    } finally {
      underWay.now--
      signal?.removeEventListener('abort', onAbort)
    }
  }
  const { blobs, actions } = store
  return {
    ...{ asked, underWay, givenUp },
    blobs: {
      missing: (scope, digests, signal) => after('missing', signal, () => blobs.missing(scope, digests, signal)),
      read: (scope: Scope, digest: Digest, options: ReadOptions = {}) =>
        after('read', options.signal, () => blobs.read(scope, digest, options)),
      async *readBatch(scope, digests, signal) {
        for (const [index, digest] of digests.entries())
          yield { index, bytes: await after('read', signal, () => readWhole(blobs, scope, digest, signal)) }
      },
      write: (scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal) =>
        after('write', signal, () => blobs.write(scope, digest, bytes, signal)),
      ingest: (scope, bytes, signal) => after('write', signal, () => blobs.ingest(scope, bytes, signal)),
    },
    actions: {
      get: (scope, action, signal) => after('get', signal, () => actions.get(scope, action, signal)),
      put: (scope, action, result, signal) => after('put', signal, () => actions.put(scope, action, result, signal)),
      remove: (scope: Scope, action: ActionDigest) => after('remove', undefined, () => actions.remove(scope, action)),
    },
    async [Symbol.asyncDispose]() {},
  }
}

export function fault(code: ErrorCode): CacheError {
  return new CacheError(code, `the script says ${code}`)
}

/** Ends when it is given up. */
export function never(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
