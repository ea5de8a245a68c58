import type { ActionDigest, Digest } from '../digest/digest.ts'
import type { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ToolKey } from './tool-key.ts'

/** On whose behalf a store is asked. */
export interface Scope {
  /** REAPI's `instance_name`: a tenant's namespace of action results. Blobs are content and are shared. */
  readonly instance: string
}

export const DEFAULT_SCOPE: Scope = { instance: '' }

/** A sequence of chunks; iterate it once. A `Uint8Array` stands for a blob that is small or in memory anyway. */
export type Bytes = Uint8Array | AsyncIterable<Uint8Array>

/** Bytes that hold a file or a socket until iterated to the end, left by `break`, or disposed of. */
export type OpenBytes = AsyncIterable<Uint8Array> & AsyncDisposable

export interface ReadOptions {
  /** First byte wanted, 0 unless said. Beyond the end: no bytes. */
  readonly offset?: number
  /** How many bytes at most; to the end unless said. */
  readonly length?: number
  readonly signal?: AbortSignal
}

/** One answer of {@link BlobStore.readBatch}: `index` is the place in the list of digests that was asked for. */
export interface BatchEntry {
  readonly index: number
  /** The whole blob, checked; valid until the next entry is asked for. Undefined: the store does not have it whole. */
  readonly bytes: Uint8Array | undefined
}

/** The content-addressed store (CAS): blobs by digest, equal content kept once. */
export interface BlobStore {
  /** Those of `digests` that a following `read` would not find. What it finds is protected from eviction for a grace period. */
  missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]>
  /**
   * One blob as a stream, flat in memory whatever its size. `undefined` is a miss. A chunk that does not check out ends
   * the iteration with `store.corrupt`, before any of that chunk is handed out.
   */
  read(scope: Scope, digest: Digest, options?: ReadOptions): Promise<OpenBytes | undefined>
  /**
   * Many small blobs, each whole in memory, in the order that is cheapest for the store: every index exactly once.
   * For blobs up to {@link BATCH_BLOB_BYTES}; larger ones are answered too, but belong to `read`.
   */
  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncIterable<BatchEntry>
  /**
   * Keeps a blob; done means that `read` finds it, here and in other processes. Atomic: whole or not at all. Given as a
   * stream, the bytes are checked against the digest on the way and refused with `store.corrupt` when they differ; given
   * as a `Uint8Array`, the caller vouches for them (wrap the store in `verified` where nobody can), and leaves them as
   * they are until it is done. Concurrent writes are grouped into one commit, so do not await them one by one.
   */
  write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void>
}

/** Blobs up to this size are read and written in memory, larger ones as streams. */
export const BATCH_BLOB_BYTES = 1 << 20

/** For those stores that can name bytes while they keep them: one pass over a source whose digest nobody knows yet. */
export interface Ingest {
  ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest>
}

/**
 * For those stores that keep blobs as zstd frames (RFC 8878): who takes zstd gets what is stored, and who has it gives it, so
 * that nothing is compressed twice.
 */
export interface Frames {
  /**
   * One frame or several that follow each other, which together are the blob, as they are stored; checked like any read.
   * Undefined when there are none: the blob is not there, is damaged, is stored as it is, or in one frame with others.
   * Then `read` it.
   */
  readFrame(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined>
  /**
   * Keeps a blob that comes as frames. They are decompressed and checked against the digest on the way, refused with
   * `store.corrupt` when they do not hold it, and kept as they are: for a blob above {@link BATCH_BLOB_BYTES} only where
   * the store's own division into frames is that of the sender.
   */
  writeFrame(scope: Scope, digest: Digest, frames: Bytes, signal?: AbortSignal): Promise<void>
}

export interface PlaceOptions {
  readonly isExecutable: boolean
  readonly signal?: AbortSignal | undefined
}

/** A regular file that is open for reading, and the name it was opened by. */
export interface SourceFile {
  readonly file: number
  readonly path: string
}

/**
 * For those stores that keep large blobs in files on this machine: bytes that a workspace and the store share on disk instead of
 * holding them twice. Both say `undefined`, with nothing done, where that cannot be; the bytes are then to be copied.
 */
export interface BlobFiles {
  /**
   * Makes `path`, which must not exist, a file with the content of the blob: a clone (copy on write, with the mode that the
   * umask allows), or, where the store was opened so, a hard link, read-only, which is the store's file. Its content is not
   * read, but the file looks as it did when it was last known to be right.
   */
  place(scope: Scope, digest: Digest, path: string, options: PlaceOptions): Promise<'cloned' | 'linked' | undefined>
  /** Keeps the content of a file that is hardly compressible as a clone of it; the digest is that of the clone. */
  ingestFile(scope: Scope, source: SourceFile, signal?: AbortSignal): Promise<Digest | undefined>
}

export type ActionLookup =
  | {
      readonly kind: 'hit'
      readonly result: ActionResult
      /** `result` as it is kept: for those who pass it on and read nothing of it. */
      readonly encoded: Uint8Array
      readonly resultDigest: Digest
      /** The remote that had it, in words for people; undefined: it was here. */
      readonly place?: string
    }
  /** `unanswered`: it is not here, and another place was not waited for any longer. */
  | { readonly kind: 'miss'; readonly why: 'absent' | 'expired' | 'incomplete' | 'corrupt' | 'unanswered' }

/** What a put found in its place. `different` is non-determinism: other outputs or another exit code for the same action. */
export type PutOutcome = 'new' | 'same' | 'different'

/** The action cache (AC): action digest → action result. */
export interface ActionStore {
  /** A hit is complete: all blobs it names were there when asked. `resultDigest` names the encoded result. */
  get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup>
  /**
   * The one point of visibility. Refused with `store.incomplete` unless all blobs that the result names (trees and what
   * they name included) are there; last write wins, whole.
   */
  put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome>
  /** True when there was one. */
  remove(scope: Scope, action: ActionDigest): Promise<boolean>
}

/** Held until disposed of, or until the holding process dies: an operating-system lock, never a pid file. */
export interface Lease extends AsyncDisposable {
  readonly name: string
}

/** Mutual exclusion by name between processes of one machine; and between callers in one process. */
export interface Leases {
  /** The lease, or undefined when somebody else holds it. Never waits. */
  tryHold(name: string): Promise<Lease | undefined>
  /** Waits until it can be held. `onWait` is called once, when it could not be had at once, with what the holder said of itself. */
  hold(
    name: string,
    options?: { readonly note?: string; readonly onWait?: (holder: string) => void; readonly signal?: AbortSignal },
  ): Promise<Lease>
  /** All names that begin so and are held; also some whose holders died. Names of more than 150 characters may be left out. */
  heldNames(prefix: string): string[]
}

/** For protocols that name blobs by their hash alone. */
export interface BlobNames {
  /** The digest of the blob with this hash (64 lower-case hex digits) that a following `read` would find; undefined where it would not. */
  digestOf(scope: Scope, hash: string, signal?: AbortSignal): Promise<Digest | undefined>
}

/** For those stores whose answers may be remembered for a while. */
export interface Changes {
  /**
   * A number that is another one once another process has put, replaced or removed anything, or this one has taken blobs
   * away. What callers in this process put or remove themselves they know. NaN, which equals nothing, when it cannot be
   * told. Costs about as much as a look-up.
   */
  version(): number
}

/** One kept action result, as lists and the collector see it. Times in Unix milliseconds, sizes in bytes. */
export interface CatalogEntry {
  readonly action: ActionDigest
  readonly instance: string
  readonly createdMs: number
  /** When it was last used; coarse. */
  readonly accessedMs: number
  readonly hits: number
  /** Content bytes of all that the result names, before compression and sharing. */
  readonly contentBytes: number
  readonly durationMs: number
  /** Undefined unless it is pinned; infinite for ever. */
  readonly pinnedUntilMs: number | undefined
  /** Undefined unless a build tool brought it under a key of its own. */
  readonly toolKey: ToolKey | undefined
}

export interface StoreUsage {
  readonly actions: number
  readonly blobs: number
  /** Content of all blobs, before compression. */
  readonly contentBytes: number
  /** What the folder takes on disk: index, journal, blobs, trash, all of it. */
  readonly diskBytes: number
  readonly trashBytes: number
  /** The quota in force. */
  readonly maxCacheBytes: number
}

export interface CollectOptions {
  /** Say what would go; remove nothing. */
  readonly dryRun?: boolean
  /** Collect down to this many bytes instead of the quota's low-water mark. */
  readonly targetBytes?: number
  readonly signal?: AbortSignal
}

export interface CollectReport {
  readonly removedActions: number
  readonly removedBlobs: number
  readonly freedBytes: number
  readonly keptActions: number
  /** How many pins held; of results that are not there, too. */
  readonly pinnedActions: number
  readonly diskBytes: number
}

/** What is kept, for people and for the collector. */
export interface Catalog {
  list(): AsyncIterable<CatalogEntry>
  usage(): Promise<StoreUsage>
  collect(options?: CollectOptions): Promise<CollectReport>
  /**
   * From now on no collection takes the result away, and it does not grow too old, until `untilMs` or for ever. What it names
   * stays with it. It need not be there yet; pinned again, the new time counts. Survives a lost index.
   */
  pin(scope: Scope, action: ActionDigest, untilMs?: number): Promise<void>
  /** True when it was pinned. */
  unpin(scope: Scope, action: ActionDigest): Promise<boolean>
}

/**
 * Small facts about workspaces that only this machine can use: stat-cache snapshots, the record of restored outputs,
 * an unfinished restore. Each with its checksum: a damaged one is as one never written. `load` is synchronous, since
 * it stands on the way of every hit.
 */
export interface WorkspaceRecords {
  load(kind: RecordKind, name: string): Uint8Array | undefined
  /** Atomic and visible to other processes when done. */
  save(kind: RecordKind, name: string, record: Uint8Array): Promise<void>
  remove(kind: RecordKind, name: string): Promise<void>
  /** Names of all records of a kind that begin with `prefix`, in an order that stays the same; or a page of them. */
  names(kind: RecordKind, prefix: string, page?: NamesPage): string[]
}

export interface NamesPage {
  /** Those that come after this one, which need not be there. */
  readonly after?: string
  readonly most: number
}

/**
 * `flight`: that a run which others waited for kept nothing. `leftovers`: what runs that were not kept made. `scrub`: how
 * far the last one came. `actions-cache`: what a server finds entries by, and signs addresses with. `upload`: that a result
 * is still to be sent to a remote. `odds`: how often a remote had what it was asked for.
 */
export type RecordKind =
  | 'inputs'
  | 'outputs'
  | 'leftovers'
  | 'restore'
  | 'config'
  | 'executable'
  | 'flight'
  | 'scrub'
  | 'actions-cache'
  | 'upload'
  | 'odds'
