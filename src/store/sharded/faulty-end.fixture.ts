import { CacheError } from '../../errors.ts'
import { memoryStore } from '../memory/memory-store.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'

export interface FaultyEnd extends RemoteEnd {
  /** All calls fail. */
  isDead: boolean
  /** Reads fail when so many bytes were given. */
  breaksAfter: number
  isDisposed: boolean
  /** Loses all that it has. */
  wipe(): void
  /** Names of the calls that came, dead or not. */
  readonly asked: string[]
}

/** An end in memory that fails when it is told to. */
export function faultyEnd(name = 'it'): FaultyEnd {
  let inner = memoryStore()
  const gone = () => new CacheError('remote.unreachable', `${name} cannot be reached.`)
  const asked: string[] = []
  const ask = <T>(method: string, call: () => T): T => {
    asked.push(method)
    if (end.isDead) throw gone()
    return call()
  }
  async function* breaking(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let left = end.breaksAfter
    for await (const piece of bytes) {
      if (left < piece.length) {
        if (left > 0) yield piece.subarray(0, left)
        throw gone()
      }
      left -= piece.length
      yield piece
    }
  }
  const end: FaultyEnd = {
    ...{ isDead: false, breaksAfter: Number.POSITIVE_INFINITY, isDisposed: false, asked },
    wipe() {
      inner = memoryStore()
    },
    blobs: {
      missing: async (...args) => ask('missing', () => inner.blobs.missing(...args)),
      read: async (...args) => {
        const bytes = await ask('read', () => inner.blobs.read(...args))
        if (bytes === undefined) return undefined
        const iterator = breaking(bytes)
        return {
          [Symbol.asyncIterator]: () => iterator,
          [Symbol.asyncDispose]: () => bytes[Symbol.asyncDispose](),
        }
      },
      async *readBatch(...args) {
        let left = end.breaksAfter
        for await (const entry of ask('readBatch', () => inner.blobs.readBatch(...args))) {
          left -= entry.bytes?.length ?? 0
          if (left < 0) throw gone()
          yield entry
        }
      },
      write: async (...args) => ask('write', () => inner.blobs.write(...args)),
      ingest: async (...args) => ask('ingest', () => inner.blobs.ingest(...args)),
    },
    actions: {
      get: async (...args) => ask('get', () => inner.actions.get(...args)),
      put: async (...args) => ask('put', () => inner.actions.put(...args)),
      remove: async (...args) => ask('remove', () => inner.actions.remove(...args)),
    },
    async [Symbol.asyncDispose]() {
      end.isDisposed = true
    },
  }
  return end
}
