import { fdatasync, fdatasyncSync, ftruncate, writeSync, writev, writevSync } from 'node:fs'
import { promisify } from 'node:util'
import type { HeldSegment } from './held-segment.ts'
import { mediumTimer } from './medium-time.ts'
import {
  amendHeader,
  encodeRecord,
  type NewRecord,
  piecesBytes,
  RECORD_HEADER_BYTES,
  type RecordPlace,
} from './segment.ts'

/** Of one list of records: where they lie, and what can still be changed of them. */
export interface Appended {
  readonly places: readonly RecordPlace[]
  readonly headers: readonly AppendedHeader[]
}

interface AppendedHeader {
  readonly place: RecordPlace
  readonly bytes: Uint8Array
  readonly isStamped: boolean
}

export interface AppendOptions {
  /** That of records which bring none. */
  readonly stampMs: number
  /** `full`: on the disk when done. */
  readonly durability: 'fast' | 'full'
  /** Told how many bytes it was and how long the medium took, where they were many. */
  readonly onAppend?: ((bytes: number, ms: number) => void) | undefined
}

const syncFile = promisify(fdatasync)
const cutFile = promisify(ftruncate)

/**
 * All records in one write at the end of the segment, each list of them by itself. Where it fails, the segment is as it was:
 * the next append goes to the same place, and until then nobody shall find half a record there.
 */
export async function appendRecords(
  segment: HeldSegment,
  lists: readonly (readonly NewRecord[])[],
  { stampMs, durability, onAppend }: AppendOptions,
): Promise<Appended[]> {
  const pieces: Uint8Array[] = []
  let offset = segment.size
  const appended = lists.map((records) => {
    const headers = records.map((record): AppendedHeader => {
      const encoded = encodeRecord({ ...record, stampMs: record.stampMs ?? stampMs })
      const place = { segment: segment.number, offset, recordBytes: piecesBytes(encoded) }
      pieces.push(...encoded)
      offset += place.recordBytes
      return { place, bytes: encoded[0] as Uint8Array, isStamped: record.stampMs !== undefined }
    })
    return { places: headers.map(({ place }) => place), headers }
  })
  const bytes = offset - segment.size
  const tookMs = bytes > AT_ONCE_BYTES ? mediumTimer() : undefined
  try {
    await writeAll(segment.file, pieces, segment.size, bytes)
    if (durability === 'full') await syncFile(segment.file)
    if (tookMs !== undefined) onAppend?.(bytes, tookMs())
  } catch (error) {
    await cutBack(segment, segment.size)
    throw error
  }
  segment.size = offset
  return appended
}

/** Nobody was told that what lies behind `size` is kept, so no rebuild shall find it. */
export async function cutBack(segment: HeldSegment, size: number): Promise<void> {
  segment.size = size
  await cutFile(segment.file, size).catch(() => undefined)
}

/** Changes of records that are appended and not yet visible: of their headers, where they lie. */
export class Amendments {
  readonly #file: number
  #isAny = false

  constructor(file: number) {
    this.#file = file
  }

  restamp(headers: readonly AppendedHeader[], stampMs: number): void {
    for (const header of headers) if (!header.isStamped) this.#amend(header, { stampMs })
  }

  makeVoid(headers: readonly AppendedHeader[]): void {
    for (const header of headers) this.#amend(header, 'void')
  }

  sync(): void {
    if (this.#isAny) fdatasyncSync(this.#file)
  }

  #amend({ bytes, place }: AppendedHeader, change: { readonly stampMs: number } | 'void'): void {
    amendHeader(bytes, change)
    writeSync(this.#file, bytes, 0, RECORD_HEADER_BYTES, place.offset)
    this.#isAny = true
  }
}

/** Linux takes 1024 pieces at a time. */
const PIECES_AT_ONCE = 1024
/** So much is in the system's cache before another thread would be awake to write it. */
const AT_ONCE_BYTES = 64 << 10

async function writeAll(file: number, pieces: Uint8Array[], offset: number, bytes: number): Promise<void> {
  let at = offset
  for (let first = 0; first < pieces.length; first += PIECES_AT_ONCE) {
    let rest = pieces.slice(first, first + PIECES_AT_ONCE)
    while (rest.length > 0) {
      const written = bytes <= AT_ONCE_BYTES ? writevSync(file, rest, at) : await writeSome(file, rest, at)
      at += written
      rest = afterBytes(rest, written)
    }
  }
}

function writeSome(file: number, pieces: Uint8Array[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(file, pieces, offset, (error, written) => (error === null ? resolve(written) : reject(error)))
  })
}

/** What is left of the pieces after their first `bytes` bytes: a write may be short. */
function afterBytes(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  const rest: Uint8Array[] = []
  for (const piece of pieces) {
    if (skip < piece.length) rest.push(piece.subarray(skip))
    skip = Math.max(0, skip - piece.length)
  }
  return rest
}
