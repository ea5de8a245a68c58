import { crc32c } from '../../digest/crc32c.ts'
import type { Digest } from '../../digest/digest.ts'
import { type Checksum, checksumFor, checksumOf } from './content-checksum.ts'

/**
 * The journal's records, which are the truth of the store: what the index says can be built again from them and the files
 * in `blobs/`. A record is found by (segment, offset, length) and checked alone:
 *
 *     magic u32 | kind u8 | codec u8 | checksum u8 | 0 u8 | head bytes u32 | body bytes u32 | stamp f64 | body's checksum u32 |
 *     head CRC32C u32
 *     head | body
 *
 * Little-endian. The head's checksum covers everything before it and the head, so a scan may skip bodies. `checksum` says
 * which one the body has, and the chunks of a file.
 */
export type SegmentRecord =
  /**
   * Small and middle blobs, one after the other in the order of `digests`, raw or as zstd: in one frame, or in several that
   * follow each other where a single blob came so.
   */
  | {
      readonly kind: 'pack'
      readonly stampMs: number
      readonly codec: Codec
      readonly digests: readonly Digest[]
      readonly body: Uint8Array
    }
  /** A large blob in a file of its own; also the intent of its writer, who renames the file into place after this. */
  | {
      readonly kind: 'file'
      readonly stampMs: number
      readonly codec: Codec
      readonly digest: Digest
      /** Content bytes of every chunk but the last. */
      readonly chunkBytes: number
      /** The number in the name of its staging file, should the writer die before the rename. */
      readonly staging: number
      readonly checksum: Checksum
      /** For each chunk how many bytes of the file it takes, and their checksum. */
      readonly chunks: readonly { readonly storedBytes: number; readonly crc: number }[]
    }
  /** A large blob whose content is that of `chunks`, which are blobs themselves, one after the other. */
  | {
      readonly kind: 'chunked'
      readonly stampMs: number
      readonly digest: Digest
      readonly chunks: readonly Digest[]
    }
  /** `result` is the encoded ActionResult. */
  | {
      readonly kind: 'action'
      readonly stampMs: number
      readonly instance: string
      readonly action: Digest
      readonly result: Uint8Array
    }
  | {
      readonly kind: 'action-removed'
      readonly stampMs: number
      readonly instance: string
      readonly action: Digest
    }
  /** Evicted on purpose: a rebuild need not bring them back. */
  | { readonly kind: 'blobs-removed'; readonly stampMs: number; readonly hashes: readonly string[] }
  /** Was appended as another, and taken back before it was visible. */
  | { readonly kind: 'void'; readonly stampMs: number }

/** A record that its commit stamps; with a stamp it keeps that. */
export type NewRecord = WithoutStamp<SegmentRecord>
type WithoutStamp<R> = R extends SegmentRecord ? Omit<R, 'stampMs'> & { readonly stampMs?: number } : never

/** How stored bytes stand for content. */
export type Codec = 'raw' | 'zstd'

/** Where a record lies. Segment numbers are never used twice. */
export interface RecordPlace {
  readonly segment: number
  readonly offset: number
  /** Header, head and body. */
  readonly recordBytes: number
}

export const RECORD_HEADER_BYTES = 32
const MAGIC = 0x31_55_43_52 // "RCU1"
const PACK_ENTRY_BYTES = 36
const FILE_HEAD_BYTES = 48
const CHUNKED_HEAD_BYTES = 40
const KINDS = ['pack', 'file', 'action', 'action-removed', 'blobs-removed', 'chunked', 'void'] as const
const CHECKSUMS: readonly Checksum[] = ['crc32c', 'crc32']
const NONE = new Uint8Array(0)

/** The header, head and body of a record, in the pieces that one `writev` puts after each other. */
export function encodeRecord(record: SegmentRecord): Uint8Array[] {
  const head = encodeHead(record)
  const body = bodyOf(record)
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + head.length)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes[4] = KINDS.indexOf(record.kind) + 1
  const codec = 'codec' in record ? record.codec : 'raw'
  const checksum = record.kind === 'file' ? record.checksum : checksumFor(codec, body.length)
  bytes[5] = codec === 'zstd' ? 1 : 0
  bytes[6] = CHECKSUMS.indexOf(checksum)
  bytes[7] = 0
  bytes.writeUInt32LE(head.length, 8)
  bytes.writeUInt32LE(body.length, 12)
  bytes.writeDoubleLE(record.stampMs, 16)
  bytes.writeUInt32LE(checksumOf(checksum, body), 24)
  bytes.set(head, RECORD_HEADER_BYTES)
  bytes.writeUInt32LE(headCrc(bytes, head.length), 28)
  return body.length === 0 ? [bytes] : [bytes, body]
}

/**
 * Puts another stamp into the header and head of an encoded record, or makes it void. Only the first
 * {@link RECORD_HEADER_BYTES} change, so that a record can be changed where it lies.
 */
export function amendHeader(headerAndHead: Uint8Array, change: { readonly stampMs: number } | 'void'): void {
  const bytes = asBuffer(headerAndHead)
  if (change === 'void') bytes[4] = KINDS.indexOf('void') + 1
  else bytes.writeDoubleLE(change.stampMs, 16)
  bytes.writeUInt32LE(headCrc(bytes, bytes.readUInt32LE(8)), 28)
}

/** Bytes of the pieces of an encoded record. */
export function piecesBytes(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}

/**
 * How long the record is that starts with these bytes (at least {@link RECORD_HEADER_BYTES} of them), as it says
 * itself; undefined when no record starts here.
 */
export function recordExtent(header: Uint8Array): { headBytes: number; bodyBytes: number } | undefined {
  if (header.length < RECORD_HEADER_BYTES) return undefined
  const bytes = asBuffer(header)
  if (bytes.readUInt32LE(0) !== MAGIC) return undefined
  return { headBytes: bytes.readUInt32LE(8), bodyBytes: bytes.readUInt32LE(12) }
}

/** A whole record with both checksums good, or undefined. The body is a view of `bytes`. */
export function decodeRecord(bytes: Uint8Array): SegmentRecord | undefined {
  const extent = recordExtent(bytes)
  if (extent === undefined || bytes.length < RECORD_HEADER_BYTES + extent.headBytes + extent.bodyBytes) return undefined
  const start = RECORD_HEADER_BYTES + extent.headBytes
  const body = bytes.subarray(start, start + extent.bodyBytes)
  if (!isIntact(body, bytes)) return undefined
  return decodeHead(bytes, body)
}

/**
 * A record whose body was skipped: for scans that only need to know what is where. `bytes` holds header and head; the
 * body of a pack or an action is empty in what is returned, and unchecked.
 */
export function decodeRecordHead(bytes: Uint8Array): SegmentRecord | undefined {
  return decodeHead(bytes, NONE)
}

/**
 * One blob's place in a pack: the record is checked whole, the blob's name in it too, since an index row may be older
 * than the segment. Undefined: damaged, or another record.
 */
export function decodePack(
  bytes: Uint8Array,
): { codec: Codec; entries: Uint8Array; count: number; body: Uint8Array } | undefined {
  const extent = recordExtent(bytes)
  if (extent === undefined || bytes[4] !== 1 || extent.headBytes % PACK_ENTRY_BYTES !== 0) return undefined
  const start = RECORD_HEADER_BYTES + extent.headBytes
  if (bytes.length !== start + extent.bodyBytes) return undefined
  const body = bytes.subarray(start)
  const buffer = asBuffer(bytes)
  if (headCrc(buffer, extent.headBytes) !== buffer.readUInt32LE(28)) return undefined
  if (!isIntact(body, bytes)) return undefined
  const entries = bytes.subarray(RECORD_HEADER_BYTES, start)
  return { codec: bytes[5] === 1 ? 'zstd' : 'raw', entries, count: extent.headBytes / PACK_ENTRY_BYTES, body }
}

/** The hash (32 bytes, a view) and size of the entry at `ordinal` of a pack's head. */
export function packEntry(entries: Uint8Array, ordinal: number): { hash: Uint8Array; sizeBytes: number } {
  const at = ordinal * PACK_ENTRY_BYTES
  return { hash: entries.subarray(at, at + 32), sizeBytes: asBuffer(entries).readUInt32LE(at + 32) }
}

function decodeHead(bytes: Uint8Array, body: Uint8Array): SegmentRecord | undefined {
  const extent = recordExtent(bytes)
  if (extent === undefined || bytes.length < RECORD_HEADER_BYTES + extent.headBytes) return undefined
  const buffer = asBuffer(bytes)
  if (headCrc(buffer, extent.headBytes) !== buffer.readUInt32LE(28)) return undefined
  const head = buffer.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + extent.headBytes)
  const stampMs = buffer.readDoubleLE(16)
  const codec: Codec = buffer[5] === 1 ? 'zstd' : 'raw'
  switch (KINDS[(buffer[4] as number) - 1]) {
    case 'pack':
      return { kind: 'pack', stampMs, codec, digests: decodeDigests(head), body }
    case 'file':
      return fileRecord(buffer, stampMs, codec, head)
    case 'action':
      return { kind: 'action', stampMs, ...actionHead(head), result: body }
    case 'action-removed':
      return { kind: 'action-removed', stampMs, ...actionHead(head) }
    case 'blobs-removed':
      return { kind: 'blobs-removed', stampMs, hashes: hashList(head) }
    case 'chunked':
      return { kind: 'chunked', stampMs, ...chunkedHead(head) }
    case 'void':
      return { kind: 'void', stampMs }
    default:
      return undefined
  }
}

function encodeHead(record: SegmentRecord): Uint8Array {
  switch (record.kind) {
    case 'pack':
      return encodeDigests(record.digests)
    case 'file':
      return encodeFileHead(record)
    case 'action':
    case 'action-removed':
      return encodeActionHead(record.instance, record.action)
    case 'blobs-removed':
      return Buffer.from(record.hashes.join(''), 'hex')
    case 'chunked':
      return encodeChunkedHead(record)
    case 'void':
      return NONE
  }
}

function bodyOf(record: SegmentRecord): Uint8Array {
  if (record.kind === 'pack') return record.body
  return record.kind === 'action' ? record.result : NONE
}

/** For each hash | size u32. */
export function encodeDigests(digests: readonly Digest[]): Buffer {
  const head = Buffer.allocUnsafe(digests.length * PACK_ENTRY_BYTES)
  digests.forEach(({ hash, sizeBytes }, i) => {
    head.write(hash, i * PACK_ENTRY_BYTES, 'hex')
    head.writeUInt32LE(sizeBytes, i * PACK_ENTRY_BYTES + 32)
  })
  return head
}

export function decodeDigests(list: Uint8Array): Digest[] {
  const head = asBuffer(list)
  const digests: Digest[] = []
  for (let at = 0; at + PACK_ENTRY_BYTES <= head.length; at += PACK_ENTRY_BYTES)
    digests.push({ hash: head.toString('hex', at, at + 32), sizeBytes: head.readUInt32LE(at + 32) })
  return digests
}

/** hash | size f64 | chunk bytes u32 | staging number u32 | for each chunk: stored bytes u32, checksum u32. */
function encodeFileHead(record: SegmentRecord & { kind: 'file' }): Buffer {
  const head = Buffer.allocUnsafe(FILE_HEAD_BYTES + record.chunks.length * 8)
  head.write(record.digest.hash, 0, 'hex')
  head.writeDoubleLE(record.digest.sizeBytes, 32)
  head.writeUInt32LE(record.chunkBytes, 40)
  head.writeUInt32LE(record.staging, 44)
  record.chunks.forEach(({ storedBytes, crc }, i) => {
    head.writeUInt32LE(storedBytes, FILE_HEAD_BYTES + i * 8)
    head.writeUInt32LE(crc, FILE_HEAD_BYTES + 4 + i * 8)
  })
  return head
}

function fileRecord(header: Buffer, stampMs: number, codec: Codec, head: Buffer): SegmentRecord | undefined {
  const checksum = checksumIn(header)
  return checksum && { kind: 'file', stampMs, codec, checksum, ...fileHead(head) }
}

function fileHead(head: Buffer): Omit<SegmentRecord & { kind: 'file' }, 'kind' | 'stampMs' | 'codec' | 'checksum'> {
  const chunks: { storedBytes: number; crc: number }[] = []
  for (let at = FILE_HEAD_BYTES; at + 8 <= head.length; at += 8)
    chunks.push({ storedBytes: head.readUInt32LE(at), crc: head.readUInt32LE(at + 4) })
  const digest = { hash: head.toString('hex', 0, 32), sizeBytes: head.readDoubleLE(32) }
  return { digest, chunkBytes: head.readUInt32LE(40), staging: head.readUInt32LE(44), chunks }
}

/** hash | size f64 | the chunks as in {@link encodeDigests}. */
function encodeChunkedHead({ digest, chunks }: SegmentRecord & { kind: 'chunked' }): Buffer {
  const head = Buffer.allocUnsafe(CHUNKED_HEAD_BYTES)
  head.write(digest.hash, 0, 'hex')
  head.writeDoubleLE(digest.sizeBytes, 32)
  return Buffer.concat([head, encodeDigests(chunks)])
}

function chunkedHead(head: Buffer): { digest: Digest; chunks: Digest[] } {
  const digest = { hash: head.toString('hex', 0, 32), sizeBytes: head.readDoubleLE(32) }
  return { digest, chunks: decodeDigests(head.subarray(CHUNKED_HEAD_BYTES)) }
}

function encodeActionHead(instance: string, action: Digest): Buffer {
  const name = Buffer.from(instance)
  const head = Buffer.allocUnsafe(40 + name.length)
  head.write(action.hash, 0, 'hex')
  head.writeDoubleLE(action.sizeBytes, 32)
  name.copy(head, 40)
  return head
}

function actionHead(head: Buffer): { instance: string; action: Digest } {
  const action = { hash: head.toString('hex', 0, 32), sizeBytes: head.readDoubleLE(32) }
  return { instance: head.toString('utf8', 40), action }
}

function hashList(head: Buffer): string[] {
  const hashes: string[] = []
  for (let at = 0; at + 32 <= head.length; at += 32) hashes.push(head.toString('hex', at, at + 32))
  return hashes
}

function isIntact(body: Uint8Array, header: Uint8Array): boolean {
  const checksum = checksumIn(header)
  return checksum !== undefined && checksumOf(checksum, body) === asBuffer(header).readUInt32LE(24)
}

function checksumIn(header: Uint8Array): Checksum | undefined {
  return CHECKSUMS[header[6] as number]
}

function headCrc(record: Buffer, headBytes: number): number {
  const start = crc32c(record.subarray(0, 28))
  return crc32c(record.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + headBytes), start)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
