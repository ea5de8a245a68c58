import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { PACK_BYTES, PackBuilder } from './pack-builder.ts'

const piece = fc.record({ length: fc.nat(50), isNext: fc.boolean() })

test('a pack is its blobs one after the other, wherever they lay', () => {
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 40 }), (pieces) => {
      const memory = Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 31) & 255))
      const builder = new PackBuilder()
      let at = 0
      const blobs = pieces.map(({ length, isNext }) => {
        if (!isNext) at += 7
        const bytes = memory.subarray(at, at + length)
        at += length
        builder.add(digestOf(bytes), bytes)
        return bytes
      })
      const pack = builder.take()
      expect(Buffer.from(pack?.content ?? [])).toEqual(Buffer.concat(blobs))
      expect(pack?.digests).toEqual(blobs.map((bytes) => digestOf(bytes)))
      expect(builder.take()).toBeUndefined()
    }),
  )
})

test('blobs that follow each other in memory are not copied, and no more go in than there is room for', () => {
  const memory = Buffer.alloc(PACK_BYTES, 'x')
  const half = PACK_BYTES / 2
  const builder = new PackBuilder()
  for (const start of [0, half]) {
    const bytes = memory.subarray(start, start + half)
    expect(builder.hasRoom(half)).toBe(true)
    builder.add(digestOf(bytes), bytes)
  }
  expect(builder.hasRoom(1)).toBe(false)
  expect(builder.take()?.content.buffer).toBe(memory.buffer)
})
