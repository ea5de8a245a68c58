import type { Digest } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'
import { noLonger } from '../checked-pieces.ts'
import type { Fetches, NearStore } from '../remote-end.ts'
import type { Bucket } from './bucket.ts'

/** Blobs of a bucket straight into a store on this machine, which checks what it is given. */
export class S3Fetches implements Fetches {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async fetchInto(scope: Scope, digest: Digest, { blobs, frames }: NearStore, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted()
    if (digest.sizeBytes === 0) return true
    const { stored, arrived } = this.#bucket
    const here = arrived.get(digest)
    if (here !== undefined) {
      await blobs.write(scope, digest, here, signal)
      return true
    }
    await using found = await stored.open(digest, signal)
    if (found === undefined) return false
    try {
      if (found.isFrames && frames !== undefined) await frames.writeFrame(scope, digest, found.bytes, signal)
      else await blobs.write(scope, digest, noLonger(digest, stored.contentOf(digest, found)), signal)
    } catch (error) {
      throw stored.found(digest, error)
    }
    return true
  }
}
