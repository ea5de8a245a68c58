import type { Digest } from '../digest/digest.ts'
import type { BlobStore, Scope } from '../store/contracts.ts'

/** Where the messages that make up a key are found again: Action, Command and Directory, by digest. */
export interface Messages {
  /** Undefined where it was evicted, or never kept. */
  read(digest: Digest): Promise<Uint8Array | undefined>
}

interface Message {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/** The messages of kept results. */
export function storedMessages(blobs: BlobStore, scope: Scope): Messages {
  return {
    async read(digest) {
      for await (const { bytes } of blobs.readBatch(scope, [digest]))
        return bytes === undefined ? undefined : bytes.slice()
      return undefined
    },
  }
}

/** First what is at hand, as of a key just made and not yet kept; made only when it is asked for. */
export function withMessages(rest: Messages, atHand: () => Iterable<Message>): Messages {
  let byHash: Map<string, Uint8Array> | undefined
  return {
    async read(digest) {
      byHash ??= new Map(Array.from(atHand(), (message) => [message.digest.hash, message.bytes]))
      return byHash.get(digest.hash) ?? rest.read(digest)
    },
  }
}
