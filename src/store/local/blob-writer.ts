import type { Digest } from '../../digest/digest.ts'
import { indexPack } from './apply-record.ts'
import type { Compression } from './compression.ts'
import type { IndexDb } from './index-db.ts'
import type { Journal } from './journal.ts'
import { PACK_BYTES, PACK_MEMBER_BYTES, type Pack, PackBuilder } from './pack-builder.ts'
import type { Presence } from './presence.ts'
import type { Codec, NewRecord, RecordPlace } from './segment.ts'

export interface BlobWriterOptions {
  readonly index: IndexDb
  readonly journal: Journal
  readonly presence: Presence
  readonly compression: Compression
  /** Blobs up to this size are in the index too. */
  readonly inlineBytes: number
}

/** So much content goes into one append and one transaction at most, unless a turn of the event loop brings nothing more. */
const BATCH_BYTES = 8 << 20

/** Buffers for packs go round, or thousands of them would wait for the garbage collector; enough for a batch. */
const MOST_SPARE = BATCH_BYTES / PACK_BYTES

type PackRecord = Extract<NewRecord, { kind: 'pack' }>

interface EncodedPack {
  readonly pack: Pack
  readonly record: Promise<PackRecord>
}

/**
 * Writes blobs that fit in memory, by group commit: what is asked for in turns of the event loop that follow each other (or
 * 8 MiB of it) becomes packs, which are compressed on other threads as they fill, one append to the journal and one
 * transaction.
 */
export class BlobWriter {
  readonly #options: BlobWriterOptions
  readonly #spare: Buffer[] = []
  readonly #builder = new PackBuilder(this.#spare)
  /** For what is better stored as it is: beside text it would only be in the way of the text's readers. */
  readonly #denseBuilder = new PackBuilder(this.#spare)
  /** Those not yet visible, by hash: the same blob written twice at once is one. */
  readonly #pending = new Map<string, Promise<void>>()
  #batch: EncodedPack[] = []
  #batchBytes = 0
  #batchDone: PromiseWithResolvers<void> | undefined

  constructor(options: BlobWriterOptions) {
    this.#options = options
  }

  /** Done when it is visible; until then the bytes must stay as they are. Not for empty blobs. */
  write(digest: Digest, bytes: Uint8Array): Promise<void> {
    const pending = this.#pending.get(digest.hash)
    if (pending !== undefined) return pending
    if (bytes.length > PACK_MEMBER_BYTES) this.#encode({ digests: [digest], content: bytes })
    else this.#pack(digest, bytes)
    this.#batchBytes += bytes.length
    if (this.#batchDone === undefined) {
      this.#batchDone = Promise.withResolvers<void>()
      // The members' promises are what callers see; nobody may be looking at this one.
      this.#batchDone.promise.catch(() => undefined)
      this.#flushWhenQuiet(this.#batchDone)
    }
    const done = this.#batchDone.promise
    this.#pending.set(digest.hash, done)
    if (this.#batchBytes >= BATCH_BYTES) this.#flush()
    return done
  }

  /** A caller with much to write gives others a turn now and then: what it asks for in the next one goes along. */
  #flushWhenQuiet(batch: unknown): void {
    const bytes = this.#batchBytes
    setImmediate(() => {
      if (this.#batchDone !== batch) return
      if (this.#batchBytes === bytes) this.#flush()
      else this.#flushWhenQuiet(batch)
    })
  }

  #pack(digest: Digest, bytes: Uint8Array): void {
    const builder = this.#options.compression.isDense(bytes) ? this.#denseBuilder : this.#builder
    if (!builder.hasRoom(bytes.length)) this.#seal(builder)
    builder.add(digest, bytes)
  }

  #seal(builder: PackBuilder): void {
    const pack = builder.take()
    if (pack !== undefined) this.#encode(pack, builder === this.#denseBuilder ? 'raw' : undefined)
  }

  #encode(pack: Pack, codec?: Codec): void {
    const record = this.#recordOf(pack, codec)
    // It is awaited with the batch; until then a failure is not to count as one nobody looks at.
    record.catch(() => undefined)
    this.#batch.push({ pack, record })
  }

  async #recordOf(pack: Pack, as: Codec | undefined): Promise<PackRecord> {
    const { codec, stored } = await this.#options.compression.encode(pack.content, as)
    return { kind: 'pack', codec, digests: pack.digests, body: stored }
  }

  #flush(): void {
    const done = this.#batchDone
    if (done === undefined) return
    this.#seal(this.#builder)
    this.#seal(this.#denseBuilder)
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    this.#batchDone = undefined
    this.#commit(batch).then(done.resolve, done.reject)
  }

  async #commit(batch: readonly EncodedPack[]): Promise<void> {
    const { index, journal, presence, inlineBytes } = this.#options
    try {
      const records = await Promise.all(batch.map(({ record }) => record))
      await journal.commit(records, (places, { timeMs }) => {
        presence.refresh()
        batch.forEach(({ pack }, i) => {
          indexPack(index, pack.digests, places[i] as RecordPlace, timeMs, inlineOf(pack, inlineBytes))
          for (const digest of pack.digests) presence.add(digest)
        })
      })
    } finally {
      for (const { pack } of batch) {
        for (const { hash } of pack.digests) this.#pending.delete(hash)
        if (pack.own !== undefined && this.#spare.length < MOST_SPARE) this.#spare.push(pack.own)
      }
    }
  }
}

/** Gives the bytes of those members that are small enough; asked in order. */
function inlineOf(pack: Pack, inlineBytes: number): (ordinal: number) => Uint8Array | undefined {
  let offset = 0
  return (ordinal) => {
    const { sizeBytes } = pack.digests[ordinal] as Digest
    const start = offset
    offset += sizeBytes
    return sizeBytes <= inlineBytes ? pack.content.subarray(start, offset) : undefined
  }
}
