import type { Digest } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'
import { noLonger } from '../checked-pieces.ts'
import { otherThan } from '../connection-fault.ts'
import type { Fetches, NearStore } from '../remote-end.ts'
import type { ReapiOptions } from './reapi-blobs.ts'

/** Blobs of a server straight into a store on this machine, which checks what it is given. */
export function reapiFetches(options: ReapiOptions): Fetches {
  return new ReapiFetches(options)
}

class ReapiFetches implements Fetches {
  readonly #options: ReapiOptions

  constructor(options: ReapiOptions) {
    this.#options = options
  }

  async fetchInto(scope: Scope, digest: Digest, near: NearStore, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted()
    if (digest.sizeBytes === 0) return true
    const isSmall = await this.#options.small.takes(scope.instance, digest, signal)
    return isSmall ? this.#small(scope, digest, near, signal) : this.#large(scope, digest, near, signal)
  }

  async #small(scope: Scope, digest: Digest, { blobs, frames }: NearStore, signal?: AbortSignal): Promise<boolean> {
    const { small, arrived } = this.#options
    const here = arrived.get(digest)
    const came = here === undefined ? await small.read(scope.instance, digest, signal) : { bytes: here }
    if (came === undefined) return false
    if (came.frame !== undefined && frames !== undefined) await frames.writeFrame(scope, digest, came.frame, signal)
    else await blobs.write(scope, digest, came.bytes, signal)
    return true
  }

  /** What does not shrink is kept as it is: then it can be shared with a workspace. */
  async #large(scope: Scope, digest: Digest, { blobs, frames }: NearStore, signal?: AbortSignal): Promise<boolean> {
    const { large, channel } = this.#options
    const { instance } = scope
    const found = await (frames === undefined
      ? large.read(instance, digest, signal)
      : large.take(instance, digest, signal))
    if (found === undefined) return false
    try {
      if (found.isFramed) await frames?.writeFrame(scope, digest, found.bytes, signal)
      else await blobs.write(scope, digest, noLonger(digest, found.bytes), signal)
      return true
    } catch (error) {
      throw otherThan(channel.server, digest.hash, error)
    } finally {
      found.cancel()
    }
  }
}
