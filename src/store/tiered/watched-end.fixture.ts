import type { ActionStore, BlobStore } from '../contracts.ts'
import { memoryStore } from '../memory/memory-store.ts'

export type Call = 'missing' | 'read' | 'readBatch' | 'write' | 'get' | 'put' | 'remove'

/** Called before an end does what it is asked to: it may fail, wait, or take note. Nothing of the end is known to the callers. */
export type Before = (call: Call, signal: AbortSignal | undefined) => void | Promise<void>

export interface WatchedEnd {
  readonly blobs: BlobStore
  readonly actions: ActionStore
  /** Every call so far, in its order. */
  readonly calls: Call[]
}

/** A far end that tells a test what it is asked, and does what the test says. */
export function watchedEnd(
  inner: { readonly blobs: BlobStore; readonly actions: ActionStore } = memoryStore(),
  before: Before = () => undefined,
): WatchedEnd {
  const calls: Call[] = []
  const asked = async (call: Call, signal?: AbortSignal) => {
    calls.push(call)
    await before(call, signal)
  }
  const { blobs, actions } = inner
  return {
    calls,
    blobs: {
      async missing(scope, digests, signal) {
        await asked('missing', signal)
        return blobs.missing(scope, digests, signal)
      },
      async read(scope, digest, options) {
        await asked('read', options?.signal)
        return blobs.read(scope, digest, options)
      },
      async *readBatch(scope, digests, signal) {
        await asked('readBatch', signal)
        yield* blobs.readBatch(scope, digests, signal)
      },
      async write(scope, digest, bytes, signal) {
        await asked('write', signal)
        return blobs.write(scope, digest, bytes, signal)
      },
    },
    actions: {
      async get(scope, action, signal) {
        await asked('get', signal)
        return actions.get(scope, action, signal)
      },
      async put(scope, action, result, signal) {
        await asked('put', signal)
        return actions.put(scope, action, result, signal)
      },
      async remove(scope, action) {
        await asked('remove')
        return actions.remove(scope, action)
      },
    },
  }
}
