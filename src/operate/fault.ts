import type { ActionDigest, Digest } from '../digest/digest.ts'
import type { Codec, RecordPlace } from '../store/local/segment.ts'

/** Something in a cache folder that is not as it was written. */
export type Fault =
  /** `FORMAT` or `CACHEDIR.TAG` does not say what it should. */
  | { readonly kind: 'folder'; readonly file: string; readonly isMendable: boolean }
  /** The index as a whole: gone, or not what SQLite takes for sound. */
  | { readonly kind: 'index'; readonly file: string; readonly why: string }
  /** A row of the index that does not check out, or names a place where that blob or result is not. */
  | { readonly kind: 'row'; readonly file: string; readonly table: RowTable; readonly key: Uint8Array | string }
  /** In the journal, and the index knows nothing of it. */
  | {
      readonly kind: 'unlisted'
      readonly file: string
      readonly table: 'blobs' | 'actions'
      readonly place: RecordPlace
    }
  /** What the quota is reckoned by is not what is there. */
  | { readonly kind: 'accounts'; readonly file: string; readonly why: string }
  /** Bytes of a segment that are no whole record, or one whose content is not what it is called. */
  | {
      readonly kind: 'journal'
      readonly file: string
      readonly segment: number
      readonly offset: number
      readonly bytes: number
    }
  /** The index knows a segment up to another byte than its records go. */
  | {
      readonly kind: 'reach'
      readonly file: string
      readonly segment: number
      readonly indexedBytes: number
      readonly rightBytes: number
    }
  /** A blob whose bytes have another SHA-256. */
  | { readonly kind: 'content'; readonly file: string; readonly hash: string }
  /** The file of a large blob does not check out. */
  | { readonly kind: 'blob-file'; readonly file: string; readonly hash: string; readonly codec: Codec }
  /** The file of a large blob goes on behind its content. */
  | { readonly kind: 'blob-tail'; readonly file: string; readonly hash: string; readonly keptBytes: number }
  /** A large blob that a result needs, and whose record in the journal is gone. */
  | { readonly kind: 'orphan'; readonly file: string; readonly hash: string; readonly codec: Codec }
  /** Bytes in a file of the run ledger that are no record. */
  | { readonly kind: 'ledger'; readonly file: string; readonly bytes: number }

export type RowTable = 'blobs' | 'actions' | 'records'

/** What cannot be had any more. A remote may have it: whoever knows one takes it from here. */
export interface Lost {
  readonly results: readonly LostResult[]
  readonly blobs: readonly LostBlob[]
}

/** An action result that can no longer be used. */
export interface LostResult {
  readonly action: ActionDigest
  readonly instance: string
  /** What its run was called, where the ledger still says. */
  readonly label: string | undefined
}

/** `sizeBytes` of content, 0 where nothing tells it any more. */
export type LostBlob = Digest

/** What an inspection went through. */
export interface Seen {
  readonly segments: number
  readonly records: number
  readonly results: number
  readonly blobs: number
  /** Content whose SHA-256 was computed. */
  readonly hashedBytes: number
}

/** All of what {@link inspectStore} found. */
export interface Inspection {
  readonly faults: readonly Fault[]
  readonly lost: Lost
  /** Records that the index does not know yet: somebody is writing, or was killed, and the next write takes them in. */
  readonly unfinished: readonly { readonly file: string; readonly records: number }[]
  readonly seen: Seen
}

export function isWell({ faults, lost }: Pick<Inspection, 'faults' | 'lost'>): boolean {
  return faults.length === 0 && lost.results.length === 0
}
