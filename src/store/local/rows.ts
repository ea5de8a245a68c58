import { crc32cOfBoth } from '../../digest/crc32c.ts'
import type { Digest } from '../../digest/digest.ts'
import type { Codec, RecordPlace } from './segment.ts'

/** Where the index says a blob is. */
export type BlobPlace =
  /** Also in the journal; `record` is where. */
  | {
      readonly kind: 'inline'
      readonly sizeBytes: number
      readonly record: RecordPlace
      readonly ordinal: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'pack'; readonly sizeBytes: number; readonly record: RecordPlace; readonly ordinal: number }
  /** A file in `blobs/`; `record` is the journal's `file` record with its checksums. */
  | {
      readonly kind: 'file'
      readonly sizeBytes: number
      readonly record: RecordPlace
      readonly codec: Codec
      readonly storedBytes: number
      /** How the file looked when all of its content was last known to be right; undefined: nobody looked. */
      readonly verified?: VerifiedFile | undefined
    }
  /** The content of other blobs, one after the other. */
  | {
      readonly kind: 'chunked'
      readonly sizeBytes: number
      readonly record: RecordPlace
      /** As `encodeDigests` writes it. */
      readonly chunkList: Uint8Array
    }

/** What of a file's looks survives a hard link more or less, which changes its ctime; its size is known anyway. */
export interface VerifiedFile {
  readonly mtimeMs: number
  readonly ino: number
}

/** What the index keeps of an action result. Times in Unix milliseconds. */
export interface ActionRow {
  readonly action: Digest
  readonly instance: string
  readonly record: RecordPlace
  readonly createdMs: number
  readonly durationMs: number
  /** Content bytes of all that the result names. */
  readonly contentBytes: number
  /** SHA-256 of `result` in hex, so that a hit need not hash. */
  readonly resultHash: string
  /** The encoded ActionResult. */
  readonly result: Uint8Array
}

const BLOB_KINDS = ['inline', 'pack', 'file', 'chunked'] as const
const CRC_BYTES = 4
const PLACE_BYTES = 44
const VERIFIED_BYTES = 16
const ACTION_BYTES = 88

/** The key of a blob's row: 32 bytes. */
export function blobKey(hash: string): Buffer {
  return Buffer.from(hash, 'hex')
}

/**
 * crc u32 | kind u8 | codec u8 | ordinal u16 | size f64 | segment u32 | record bytes u32 | offset f64 | stored f64 | 0 u32 |
 * then of an inline blob its bytes, of a chunked one its list, of a verified file mtime f64, inode f64.
 */
export function encodeBlobPlace(key: Uint8Array, place: BlobPlace): Buffer {
  const rest = restOf(place)
  const row = Buffer.allocUnsafe(PLACE_BYTES + (rest?.length ?? 0))
  row[4] = BLOB_KINDS.indexOf(place.kind)
  row[5] = place.kind === 'file' && place.codec === 'zstd' ? 1 : 0
  row.writeUInt16LE('ordinal' in place ? place.ordinal : 0, 6)
  row.writeDoubleLE(place.sizeBytes, 8)
  row.writeUInt32LE(place.record.segment, 16)
  row.writeUInt32LE(place.record.recordBytes, 20)
  row.writeDoubleLE(place.record.offset, 24)
  row.writeDoubleLE(place.kind === 'file' ? place.storedBytes : 0, 32)
  row.writeUInt32LE(0, 40)
  if (rest !== undefined) row.set(rest, PLACE_BYTES)
  return sealed('blobs', key, row)
}

/** Undefined: the row is damaged, or stands under another key. */
export function decodeBlobPlace(key: Uint8Array, value: Uint8Array): BlobPlace | undefined {
  const row = checked('blobs', key, value, PLACE_BYTES)
  if (row === undefined) return undefined
  const sizeBytes = row.readDoubleLE(8)
  const record = { segment: row.readUInt32LE(16), recordBytes: row.readUInt32LE(20), offset: row.readDoubleLE(24) }
  switch (BLOB_KINDS[row[4] as number]) {
    case 'inline':
      return { kind: 'inline', sizeBytes, record, ordinal: row.readUInt16LE(6), bytes: row.subarray(PLACE_BYTES) }
    case 'pack':
      return { kind: 'pack', sizeBytes, record, ordinal: row.readUInt16LE(6) }
    case 'file':
      return {
        kind: 'file',
        sizeBytes,
        record,
        codec: row[5] === 1 ? 'zstd' : 'raw',
        storedBytes: row.readDoubleLE(32),
        verified: verifiedIn(row.subarray(PLACE_BYTES)),
      }
    case 'chunked':
      return { kind: 'chunked', sizeBytes, record, chunkList: row.subarray(PLACE_BYTES) }
    default:
      return undefined
  }
}

function restOf(place: BlobPlace): Uint8Array | undefined {
  if (place.kind === 'inline') return place.bytes
  if (place.kind === 'chunked') return place.chunkList
  if (place.kind === 'pack' || place.verified === undefined) return undefined
  const verified = Buffer.allocUnsafe(VERIFIED_BYTES)
  verified.writeDoubleLE(place.verified.mtimeMs, 0)
  verified.writeDoubleLE(place.verified.ino, 8)
  return verified
}

function verifiedIn(rest: Buffer): VerifiedFile | undefined {
  return rest.length < VERIFIED_BYTES ? undefined : { mtimeMs: rest.readDoubleLE(0), ino: rest.readDoubleLE(8) }
}

/** The key of an action's row: its hash and the instance. */
export function actionKey(instance: string, hash: string): Buffer {
  return instance === '' ? Buffer.from(hash, 'hex') : Buffer.concat([Buffer.from(hash, 'hex'), Buffer.from(instance)])
}

/** crc u32 | segment u32 | record bytes u32 | 0 u32 | offset, action size, created, duration, content bytes f64 | result hash | result. */
export function encodeActionRow(key: Uint8Array, action: ActionRow): Buffer {
  const row = Buffer.allocUnsafe(ACTION_BYTES + action.result.length)
  row.writeUInt32LE(action.record.segment, 4)
  row.writeUInt32LE(action.record.recordBytes, 8)
  row.writeUInt32LE(0, 12)
  row.writeDoubleLE(action.record.offset, 16)
  row.writeDoubleLE(action.action.sizeBytes, 24)
  row.writeDoubleLE(action.createdMs, 32)
  row.writeDoubleLE(action.durationMs, 40)
  row.writeDoubleLE(action.contentBytes, 48)
  row.write(action.resultHash, 56, 'hex')
  row.set(action.result, ACTION_BYTES)
  return sealed('actions', key, row)
}

/** Undefined: the row is damaged, or stands under another key. */
export function decodeActionRow(key: Uint8Array, value: Uint8Array): ActionRow | undefined {
  const row = checked('actions', key, value, ACTION_BYTES)
  if (row === undefined) return undefined
  const name = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return {
    action: { hash: name.toString('hex', 0, 32), sizeBytes: row.readDoubleLE(24) },
    instance: name.toString('utf8', 32),
    record: { segment: row.readUInt32LE(4), recordBytes: row.readUInt32LE(8), offset: row.readDoubleLE(16) },
    createdMs: row.readDoubleLE(32),
    durationMs: row.readDoubleLE(40),
    contentBytes: row.readDoubleLE(48),
    resultHash: row.toString('hex', 56, 88),
    result: row.subarray(ACTION_BYTES),
  }
}

/** An action's row that checked out; each part is read from it when asked for, since most look-ups need few. */
export class CheckedActionRow {
  readonly #row: Uint8Array

  constructor(row: Uint8Array) {
    this.#row = row
  }

  get actionBytes(): number {
    return doubleAt(this.#row, 24)
  }

  get createdMs(): number {
    return doubleAt(this.#row, 32)
  }

  get resultDigest(): Digest {
    return { hash: bufferOf(this.#row).toString('hex', 56, 88), sizeBytes: this.#row.length - ACTION_BYTES }
  }

  /** The encoded ActionResult. */
  get result(): Uint8Array {
    return this.#row.subarray(ACTION_BYTES)
  }
}

/** Undefined as in {@link decodeActionRow}. */
export function checkedActionRow(key: Uint8Array, value: Uint8Array): CheckedActionRow | undefined {
  return isIntact('actions', key, value, ACTION_BYTES) ? new CheckedActionRow(value) : undefined
}

/** A workspace record's row value: crc u32 | record. */
export function encodeRecordRow(key: string, record: Uint8Array): Buffer {
  const row = Buffer.allocUnsafe(4 + record.length)
  row.set(record, 4)
  return sealed('records', Buffer.from(key), row)
}

/** Undefined: the row is damaged, or stands under another key. */
export function decodeRecordRow(key: string, value: Uint8Array): Uint8Array | undefined {
  return checked('records', Buffer.from(key), value, 4)?.subarray(4)
}

/**
 * Where the checksum of each table's rows starts: a page of one table that stands in another's place may hold the same key,
 * since an action is a blob, too.
 */
const TABLE_SEEDS = { blobs: 0, actions: 1, records: 2 } as const
type Table = keyof typeof TABLE_SEEDS

function sealed(table: Table, key: Uint8Array, row: Buffer): Buffer {
  row.writeUInt32LE(rowCrc(table, key, row), 0)
  return row
}

function checked(table: Table, key: Uint8Array, value: Uint8Array, leastBytes: number): Buffer | undefined {
  return isIntact(table, key, value, leastBytes) ? bufferOf(value) : undefined
}

/** Makes no views: of an array from SQLite the first one takes Bun longer than all else that a look-up does with it. */
function isIntact(table: Table, key: Uint8Array, value: Uint8Array, leastBytes: number): boolean {
  // In a damaged index a column may be of any type.
  if (!(value instanceof Uint8Array) || value.length < leastBytes) return false
  let crc = 0
  for (let at = CRC_BYTES - 1; at >= 0; at--) crc = (crc << 8) | (value[at] as number)
  return crc >>> 0 === rowCrc(table, key, value)
}

function rowCrc(table: Table, key: Uint8Array, row: Uint8Array): number {
  return crc32cOfBoth(key, row, TABLE_SEEDS[table], CRC_BYTES)
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

const eightBytes = new DataView(new ArrayBuffer(8))

/** Little-endian, without a view of the row. */
function doubleAt(row: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) eightBytes.setUint8(i, row[at + i] as number)
  return eightBytes.getFloat64(0, true)
}
