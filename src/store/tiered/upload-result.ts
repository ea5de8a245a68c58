import type { ActionDigest, Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import { BATCH_BLOB_BYTES, type Scope } from '../contracts.ts'
import { namedBlobs } from '../named-blobs.ts'
import { readWhole } from '../read-whole.ts'
import { abortable } from '../remote/waiting.ts'
import { groupsOf } from './far-blobs.ts'
import type { FarEnd } from './far-end.ts'
import type { FarTier, NearTier } from './tiered.ts'
import type { Moved } from './transfers.ts'

export interface UploadParts {
  readonly near: NearTier
  readonly far: FarEnd
  /** Blobs that are being sent, by digest and instance: results share them. */
  readonly sending: Map<string, Promise<void>>
}

/** Of what the end missed a moment ago, something was still missing when the result came: it evicts while it is written to. */
const ATTEMPTS = 2

/** Sends a result that is kept near, blobs first: those that the end says it lacks. Does not reject. */
export async function uploadResult(
  parts: UploadParts,
  scope: Scope,
  action: ActionDigest,
  isWanted: () => boolean = () => true,
): Promise<Moved> {
  try {
    const { far } = parts
    return await abortable(new Upload(parts, await far.opened(), scope).send(action, isWanted), far.signal)
  } catch (error) {
    return error === GONE ? { kind: 'gone' } : { kind: 'failed', error }
  }
}

const GONE = Symbol('no longer near')

class Upload {
  readonly #parts: UploadParts
  readonly #far: FarTier
  readonly #scope: Scope
  #blobs = 0
  #bytes = 0

  constructor(parts: UploadParts, far: FarTier, scope: Scope) {
    this.#parts = parts
    this.#far = far
    this.#scope = scope
  }

  async send(action: ActionDigest, isWanted: () => boolean): Promise<Moved> {
    const { near, far } = this.#parts
    const lookup = await near.actions.get(this.#scope, action, far.signal)
    if (lookup.kind === 'miss') return { kind: 'gone' }
    const read = (digest: Digest) => readWhole(near.blobs, this.#scope, digest, far.signal)
    const named = await namedBlobs(lookup.result, read)
    if (named === undefined) return { kind: 'gone' }
    for (let attempt = 1; ; attempt++) {
      await this.#sendBlobs(named.digests)
      // Somebody removed it here meanwhile: then it is not to appear there.
      if (!isWanted()) return { kind: 'gone' }
      try {
        await this.#far.actions.put(this.#scope, action, lookup.result, far.signal)
        return { kind: 'done', blobs: this.#blobs, bytes: this.#bytes }
      } catch (error) {
        if (attempt >= ATTEMPTS || !isCacheError(error) || error.code !== 'store.incomplete') throw error
      }
    }
  }

  async #sendBlobs(digests: readonly Digest[]): Promise<void> {
    const missing = await this.#far.blobs.missing(this.#scope, digests, this.#parts.far.signal)
    const others: Promise<void>[] = []
    const own: Digest[] = []
    for (const digest of missing) {
      const sending = this.#parts.sending.get(this.#keyOf(digest))
      if (sending === undefined) own.push(digest)
      else others.push(sending)
    }
    await this.#sendOwn(own)
    await Promise.all(others)
  }

  /** Others may wait for these; each is told how it went with its own. */
  async #sendOwn(digests: readonly Digest[]): Promise<void> {
    const { far, sending } = this.#parts
    const due = new Map<Digest, PromiseWithResolvers<void>>()
    for (const digest of digests) {
      const sent = Promise.withResolvers<void>()
      // Most have nobody who waits for them.
      sent.promise.catch(() => undefined)
      due.set(digest, sent)
      sending.set(this.#keyOf(digest), sent.promise)
    }
    far.moved('due', 'up', digests.length, sizeOf(digests))
    const done = (digest: Digest) => {
      this.#blobs++
      this.#bytes += digest.sizeBytes
      far.moved('moved', 'up', 1, digest.sizeBytes)
      sending.delete(this.#keyOf(digest))
      due.get(digest)?.resolve()
      due.delete(digest)
    }
    try {
      await this.#sendSmall(digests.filter(isSmall), done)
      for (const digest of digests) if (!isSmall(digest)) await this.#sendLarge(digest, done)
    } catch (error) {
      far.moved('lost', 'up', due.size, sizeOf([...due.keys()]))
      for (const [digest, { reject }] of due) {
        sending.delete(this.#keyOf(digest))
        reject(error)
      }
      throw error
    }
  }

  /** A group is read while the one before is sent. */
  async #sendSmall(digests: readonly Digest[], done: (digest: Digest) => void): Promise<void> {
    const { near, far } = this.#parts
    let before: Promise<unknown> = Promise.resolve()
    for (const { group } of groupsOf(digests)) {
      const writes: Promise<void>[] = []
      try {
        for await (const { index, bytes } of near.blobs.readBatch(this.#scope, group, far.signal)) {
          const digest = group[index] as Digest
          if (bytes === undefined) throw GONE
          const write = this.#far.blobs.write(this.#scope, digest, new Uint8Array(bytes), far.signal)
          writes.push(write.then(() => done(digest)))
        }
        await before
      } finally {
        before = Promise.all(writes)
        before.catch(() => undefined)
      }
    }
    await before
  }

  async #sendLarge(digest: Digest, done: (digest: Digest) => void): Promise<void> {
    const { near, far } = this.#parts
    const { blobs, frames } = this.#far
    // As it lies here, where both sides have a word for that.
    await using stored = frames && (await near.frames?.readFrame(this.#scope, digest, far.signal))
    if (frames !== undefined && stored !== undefined) await frames.writeFrame(this.#scope, digest, stored, far.signal)
    else {
      await using bytes = await near.blobs.read(this.#scope, digest, { signal: far.signal })
      if (bytes === undefined) throw GONE
      await blobs.write(this.#scope, digest, bytes, far.signal)
    }
    done(digest)
  }

  #keyOf({ hash, sizeBytes }: Digest): string {
    return `${hash}/${sizeBytes} ${this.#scope.instance}`
  }
}

function isSmall({ sizeBytes }: Digest): boolean {
  return sizeBytes <= BATCH_BLOB_BYTES
}

function sizeOf(digests: readonly Digest[]): number {
  return digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
