import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import {
  amendHeader,
  decodePack,
  decodeRecord,
  decodeRecordHead,
  encodeRecord,
  piecesBytes,
  type SegmentRecord,
} from './segment.ts'

const digest = fc.uint8Array({ maxLength: 20 }).map(digestOf)
const stampMs = fc.double({ noNaN: true, min: 0, max: 1e15 })
const codec = fc.constantFrom('raw' as const, 'zstd' as const)
const u32 = fc.nat(0xffff_ffff)
const action = { stampMs, instance: fc.string({ unit: 'grapheme' }), action: digest }
const body = fc.uint8Array({ maxLength: 300 })
const record: fc.Arbitrary<SegmentRecord> = fc.oneof(
  fc.record({ kind: fc.constant('pack' as const), stampMs, codec, digests: fc.array(digest, { maxLength: 9 }), body }),
  fc.record({
    kind: fc.constant('file' as const),
    stampMs,
    codec,
    digest,
    chunkBytes: u32,
    staging: u32,
    checksum: fc.constantFrom('crc32c' as const, 'crc32' as const),
    chunks: fc.array(fc.record({ storedBytes: u32, crc: u32 }), { maxLength: 9 }),
  }),
  fc.record({ kind: fc.constant('chunked' as const), stampMs, digest, chunks: fc.array(digest, { maxLength: 9 }) }),
  fc.record({ kind: fc.constant('action' as const), ...action, result: body }),
  fc.record({ kind: fc.constant('action-removed' as const), ...action }),
  fc.record({
    kind: fc.constant('blobs-removed' as const),
    stampMs,
    hashes: fc.array(digest.map(({ hash }) => hash)),
  }),
)

describe('a record of the journal', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(record, (written) => {
        const bytes = Buffer.concat(encodeRecord(written))
        expect(bytes.length).toBe(piecesBytes(encodeRecord(written)))
        expect(plain(decodeRecord(bytes))).toEqual(plain(written))
        expect(plain(decodeRecord(Buffer.concat([bytes, Buffer.from('what follows')])))).toEqual(plain(written))
      }),
    )
  })

  it('is nothing when any byte of it was changed, or its end is not there', () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, place, flip) => {
        const bytes = Buffer.concat(encodeRecord(written))
        const at = place % bytes.length
        expect(decodeRecord(bytes.subarray(0, at))).toBeUndefined()
        bytes[at] = (bytes[at] as number) ^ flip
        expect(decodeRecord(bytes)).toBeUndefined()
      }),
    )
  })

  it.each([
    { codec: 'raw', length: 1000, checksum: 0 },
    { codec: 'raw', length: 300_000, checksum: 1 },
    { codec: 'zstd', length: 1000, checksum: 1 },
  ] as const)('with $length bytes as $codec says which checksum they have', ({ codec, length, checksum }) => {
    const body = Buffer.alloc(length, 'content')
    const bytes = Buffer.concat(encodeRecord({ kind: 'pack', stampMs: 1, codec, digests: [digestOf(body)], body }))
    expect(bytes[6]).toBe(checksum)
    expect(decodePack(bytes)?.body).toEqual(body)
    bytes[bytes.length - 1] = 0
    expect(decodePack(bytes)).toBeUndefined()
  })

  it('whose checksum nobody knows is none', () => {
    const chunks = [{ storedBytes: 1, crc: 1 }]
    const file = { kind: 'file', stampMs: 1, codec: 'raw', checksum: 'crc32', digest: digestOf(Buffer.of(1)) } as const
    const [bytes] = encodeRecord({ ...file, chunkBytes: 1, staging: 1, chunks }) as [Buffer]
    bytes[6] = 2
    amendHeader(bytes, { stampMs: 1 })
    expect(decodeRecordHead(bytes)).toBeUndefined()
  })
})

/** Buffers and arrays of the same bytes are equal. */
function plain(value: SegmentRecord | undefined): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, v) => (v instanceof Uint8Array ? [...v] : v?.type === 'Buffer' ? v.data : v)) ?? 'null',
  )
}
