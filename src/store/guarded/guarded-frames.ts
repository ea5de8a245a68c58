import type { Digest } from '../../digest/digest.ts'
import type { BlobStore, Bytes, Frames, OpenBytes, Scope } from '../contracts.ts'
import type { Fetches, NearStore } from '../remote/remote-end.ts'
import { type GuardedParts, reading, readLarge, writing } from './guarded-blobs.ts'
import { watchedSource } from './watched-bytes.ts'

/** Frames as they are; what is smaller than its blob takes no longer. */
export function guardedFrames(inner: Frames, blobs: BlobStore, parts: GuardedParts): Frames {
  return {
    readFrame(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined> {
      const transfer = reading(blobs, scope, digest, signal)
      return readLarge(parts, transfer, (within) => inner.readFrame(scope, digest, within))
    },
    async writeFrame(scope: Scope, digest: Digest, frames: Bytes, signal?: AbortSignal): Promise<void> {
      const isRepeatable = frames instanceof Uint8Array
      return parts.transfers.run(writing(blobs, scope, digest, isRepeatable, signal), (attempt) =>
        inner.writeFrame(scope, digest, isRepeatable ? frames : watchedSource(frames, attempt), attempt.signal),
      )
    },
  }
}

/** Nobody sees a blob before its new keeper has checked it, so what broke off is begun anew. */
export function guardedFetches(inner: Fetches, blobs: BlobStore, parts: GuardedParts): Fetches {
  return {
    async fetchInto(scope: Scope, digest: Digest, near: NearStore, signal?: AbortSignal): Promise<boolean> {
      return parts.transfers.run(reading(blobs, scope, digest, signal), (attempt) =>
        inner.fetchInto(scope, digest, near, attempt.signal),
      )
    },
  }
}
