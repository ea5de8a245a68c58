import type { Digest } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'
import { beginsStored } from '../../local/compression/frame-reader.ts'
import { noLonger } from '../checked-pieces.ts'
import { otherThan } from '../connection-fault.ts'
import { contentOf } from '../frame-content.ts'
import { opened } from '../opened.ts'
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
    const { small, large } = this.#options
    const { instance } = scope
    if (await small.takes(instance, digest, signal)) return this.#small(scope, digest, near, signal)
    if (near.frames !== undefined && (await large.hasZstd(instance, signal)))
      return this.#frames(scope, digest, near, signal)
    const found = await large.read(instance, digest, signal)
    if (found !== undefined) await this.#content(scope, digest, found.bytes, near, signal)
    return found !== undefined
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

  async #frames(scope: Scope, digest: Digest, near: NearStore, signal?: AbortSignal): Promise<boolean> {
    const { large, channel } = this.#options
    const found = await large.readFrames(scope.instance, digest, signal)
    if (found === undefined) return false
    try {
      await using frames = await opened(found.bytes)
      // What does not shrink is better kept as it is: then it can be shared with a workspace.
      if (beginsStored(frames.first)) await this.#content(scope, digest, contentOf(frames.all), near, signal)
      else await near.frames?.writeFrame(scope, digest, frames.all, signal)
      return true
    } catch (error) {
      throw otherThan(channel.server, digest.hash, error)
    } finally {
      found.cancel()
    }
  }

  async #content(
    scope: Scope,
    digest: Digest,
    content: AsyncIterable<Uint8Array>,
    { blobs }: NearStore,
    signal?: AbortSignal,
  ): Promise<void> {
    try {
      await blobs.write(scope, digest, noLonger(digest, content), signal)
    } catch (error) {
      throw otherThan(this.#options.channel.server, digest.hash, error)
    }
  }
}
