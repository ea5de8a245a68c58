import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import {
  actionKey,
  type BlobPlace,
  blobKey,
  checkedActionRow,
  decodeActionRow,
  decodeBlobPlace,
  decodeRecordRow,
  encodeActionRow,
  encodeBlobPlace,
  encodeRecordRow,
} from './rows.ts'

const hash = fc.uint8Array({ maxLength: 20 }).map((bytes) => digestOf(bytes).hash)
const size = fc.nat(2 ** 40)
const record = fc.record({ segment: fc.nat(0xffff_ffff), offset: size, recordBytes: fc.nat(0xffff_ffff) })
const ordinal = fc.nat(0xffff)
const place: fc.Arbitrary<BlobPlace> = fc.oneof(
  fc.record({ kind: fc.constant('pack' as const), sizeBytes: size, record, ordinal }),
  fc.record({ kind: fc.constant('inline' as const), sizeBytes: size, record, ordinal, bytes: buffer() }),
  fc.record({
    kind: fc.constant('file' as const),
    sizeBytes: size,
    record,
    codec: fc.constantFrom('raw' as const, 'zstd' as const),
    storedBytes: size,
    verified: fc.option(fc.record({ mtimeMs: fc.double({ noNaN: true }), ino: size }), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('chunked' as const), sizeBytes: size, record, chunkList: buffer() }),
)
const flip = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }))

describe('rows of the index', () => {
  it('say of a blob where it is, and nothing when changed or under another key', () => {
    fc.assert(
      fc.property(hash, place, flip, hash, (name, written, change, other) => {
        const row = encodeBlobPlace(blobKey(name), written)
        expect(decodeBlobPlace(blobKey(name), row)).toEqual(written)
        if (other !== name) expect(decodeBlobPlace(blobKey(other), row)).toBeUndefined()
        expect(decodeBlobPlace(blobKey(name), changed(row, change))).toBeUndefined()
      }),
    )
  })

  it('hold an action result, and nothing when changed', () => {
    fc.assert(
      fc.property(
        hash,
        fc.string(),
        record,
        size,
        hash,
        buffer(),
        flip,
        (name, instance, at, number, resultHash, result, change) => {
          const key = actionKey(instance, name)
          const numbers = { createdMs: number + 2, durationMs: number / 3, contentBytes: number + 1 }
          const action = { hash: name, sizeBytes: number }
          const row = encodeActionRow(key, { action, instance, record: at, ...numbers, resultHash, result })
          expect(decodeActionRow(key, row)).toMatchObject({ action, record: at, ...numbers, resultHash, result })
          expect(decodeActionRow(key, changed(row, change))).toBeUndefined()
          const looked = checkedActionRow(key, new Uint8Array(row))
          const resultDigest = { hash: resultHash, sizeBytes: result.length }
          const kept = { actionBytes: number, createdMs: number + 2, resultDigest }
          expect(looked).toMatchObject({ ...kept, result: new Uint8Array(result) })
          expect(checkedActionRow(key, changed(row, change))).toBeUndefined()
        },
      ),
    )
  })

  it('hold a workspace record, and nothing when changed', () => {
    fc.assert(
      fc.property(fc.string(), buffer(), flip, (key, written, change) => {
        const row = encodeRecordRow(key, written)
        expect(decodeRecordRow(key, row)).toEqual(written)
        expect(decodeRecordRow(key, changed(row, change))).toBeUndefined()
        expect(decodeRecordRow(`${key}x`, row)).toBeUndefined()
      }),
    )
  })
})

function buffer(): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes))
}

function changed(row: Buffer, [place, flip]: [number, number]): Buffer {
  const copy = Buffer.from(row)
  copy[place % copy.length] = (copy[place % copy.length] as number) ^ flip
  return copy
}

const HASH = digestOf(Buffer.from('a')).hash

it('a row of one table is none of another, though the key is the same', () => {
  const key = actionKey('', HASH)
  const record = { segment: 1, offset: 0, recordBytes: 200 }
  const bytes = Buffer.alloc(300, 7)
  const blob = encodeBlobPlace(key, { kind: 'inline', sizeBytes: bytes.length, record, ordinal: 0, bytes })
  expect(decodeBlobPlace(key, blob)).toBeDefined()
  expect(decodeActionRow(key, blob)).toBeUndefined()
  expect(decodeRecordRow('a', encodeRecordRow('a', bytes))).toEqual(bytes)
  expect(decodeBlobPlace(Buffer.from('a'), encodeRecordRow('a', bytes))).toBeUndefined()
})

it('a column of another type is a damaged row', () => {
  const text = 'x'.repeat(200) as unknown as Uint8Array
  expect(decodeBlobPlace(actionKey('', HASH), text)).toBeUndefined()
  expect(decodeActionRow(actionKey('', HASH), null as unknown as Uint8Array)).toBeUndefined()
})
