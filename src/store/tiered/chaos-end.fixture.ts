import { CacheError, type ErrorCode, isCacheError } from '../../errors.ts'
import type { ActionStore, BlobStore, OpenBytes } from '../contracts.ts'

/** What may go wrong with a call: anything that the contracts allow an end to do. */
export type Fault = 'fails' | 'is away' | 'hangs' | 'has nothing' | 'breaks off' | 'is wrong'

export interface ChaosEnd {
  readonly blobs: BlobStore
  readonly actions: ActionStore
  /** How often a result was put whose blobs were not all there. */
  incompletePuts: number
}

/**
 * An end over another at which each call goes wrong as `next` says, or goes well when it says nothing. What hangs does so until
 * the call is given up.
 */
export function chaosEnd(
  { blobs, actions }: { readonly blobs: BlobStore; readonly actions: ActionStore },
  next: () => Fault | undefined,
): ChaosEnd {
  const asked = async (signal: AbortSignal | undefined): Promise<Fault | undefined> => {
    const fault = next()
    if (fault === 'fails') throw said('remote.failed')
    if (fault === 'is away') throw said('remote.unreachable')
    if (fault === 'hangs') await givenUp(signal)
    return fault
  }
  const chaos: ChaosEnd = {
    incompletePuts: 0,
    blobs: {
      async missing(scope, digests, signal) {
        // To say too much costs an upload; that too little is missing is told by the put.
        return (await asked(signal)) === 'has nothing' ? [...digests] : blobs.missing(scope, digests, signal)
      },
      async read(scope, digest, options) {
        const fault = await asked(options?.signal)
        if (fault === 'has nothing') return undefined
        const bytes = await blobs.read(scope, digest, options)
        return fault === undefined || bytes === undefined ? bytes : broken(bytes, fault)
      },
      async *readBatch(scope, digests, signal) {
        const fault = await asked(signal)
        let left = digests.length >> 1
        for await (const { index, bytes } of blobs.readBatch(scope, digests, signal)) {
          if (fault === 'breaks off' && left-- === 0) throw said('remote.unreachable')
          yield { index, bytes: fault === 'has nothing' || fault === 'is wrong' ? undefined : bytes }
        }
      },
      async write(scope, digest, bytes, signal) {
        const fault = await asked(signal)
        if (fault === undefined) return blobs.write(scope, digest, bytes, signal)
        throw said('remote.failed')
      },
    },
    actions: {
      async get(scope, action, signal) {
        const fault = await asked(signal)
        if (fault === 'is wrong') return { kind: 'miss', why: 'corrupt' }
        return fault === undefined ? actions.get(scope, action, signal) : { kind: 'miss', why: 'absent' }
      },
      async put(scope, action, result, signal) {
        const fault = await asked(signal)
        const outcome = await actions.put(scope, action, result, signal).catch((error: unknown) => {
          if (isCacheError(error) && error.code === 'store.incomplete') chaos.incompletePuts++
          throw error
        })
        // Done, and nobody heard of it.
        if (fault === 'breaks off') throw said('remote.unreachable')
        return outcome
      },
      async remove(scope, action) {
        await asked(AbortSignal.timeout(1))
        return actions.remove(scope, action)
      },
    },
  }
  return chaos
}

function broken(bytes: OpenBytes, fault: Fault): OpenBytes {
  return {
    async *[Symbol.asyncIterator]() {
      if (fault === 'breaks off') for await (const piece of bytes) yield piece.subarray(0, piece.length >> 1)
      throw said(fault === 'is wrong' ? 'store.corrupt' : 'remote.unreachable')
    },
    [Symbol.asyncDispose]: () => bytes[Symbol.asyncDispose](),
  }
}

function said(code: ErrorCode): CacheError {
  return new CacheError(code, 'as the chaos would have it')
}

/** As an end does that is guarded: it is given up sooner or later. */
function givenUp(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const timer = setTimeout(() => reject(said('remote.timed-out')), 2)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}
