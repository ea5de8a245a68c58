import type { BlobNames } from '../contracts.ts'
import { type GuardedParts, readSide } from './guarded-blobs.ts'

export function guardedNames(inner: BlobNames, { lookUps }: GuardedParts): BlobNames {
  return {
    digestOf(scope, hash, signal) {
      const ask = (within: AbortSignal) => inner.digestOf(scope, hash, within)
      return lookUps.ask({ what: 'missing', side: readSide(scope), ask, signal })
    },
  }
}
