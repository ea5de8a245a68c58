import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { crc32c, crc32cOfBoth, crc32cOfFew } from './crc32c.ts'

describe('crc32c', () => {
  // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
  test.each([
    ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 bytes counting up', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['32 bytes counting down', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ['the digits', Buffer.from('123456789'), 0xe3069283],
    ['nothing', new Uint8Array(0), 0],
  ])('of %s is as published', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected)
  })

  test('of pieces is the one of the whole', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (a, b) => {
        expect(crc32c(b, crc32c(a))).toBe(crc32c(Buffer.concat([a, b])))
      }),
    )
  })

  test('of a key and the rest of its value is that of the two, also where the module cannot hold them', () => {
    const bytes = Uint8Array.from({ length: 130_000 }, (_, i) => (i * 2654435761) >>> 24)
    for (const keyBytes of [0, 1, 3, 4, 5, 32, 41])
      for (const valueBytes of [4, 5, 40, 330, 122_847, 122_848, 122_884, 129_900])
        for (const from of [0, 4]) {
          const [key, value] = [bytes.subarray(0, keyBytes), bytes.subarray(50, 50 + valueBytes)]
          const expected = crc32cOfFew(value, crc32cOfFew(key, 7), from)
          expect(crc32cOfBoth(key, value, 7, from), `${keyBytes}, ${valueBytes} from ${from}`).toBe(expected)
        }
  })

  test('is that of the definition, bit by bit, at every length and beyond what the module holds at once', () => {
    const bytes = Uint8Array.from({ length: 130_001 }, (_, i) => (i * 2654435761) >>> 24)
    for (const length of [...Array.from({ length: 40 }, (_, i) => i), 122_879, 122_880, 122_881, 130_001]) {
      const part = bytes.subarray(3, 3 + length)
      expect(crc32c(part), `${length} bytes`).toBe(byDefinition(part))
    }
  })

  test('of few bytes is the same without the module, in pieces too', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(crc32cOfFew(b, crc32cOfFew(a))).toBe(byDefinition(Buffer.concat([a, b])))
        expect(crc32cOfFew(a)).toBe(byDefinition(a))
      }),
    )
  })

  test('of few bytes is the same wherever they lie in memory and however long they are', () => {
    const memory = Uint8Array.from({ length: 300 }, (_, i) => (i * 2654435761) >>> 24)
    for (let start = 0; start < 4; start++)
      for (let length = 0; length < 290; length += length > 56 && length < 80 ? 1 : 7)
        for (const from of [0, 1, 2, 3, 4, 61].filter((bound) => bound <= length)) {
          const bytes = memory.subarray(start, start + length)
          expect(crc32cOfFew(bytes, 0, from), `${length} at ${start} from ${from}`).toBe(
            byDefinition(bytes.slice(from)),
          )
        }
  })

  test('goes on from what was summed without the module, wherever a process comes to load it', async () => {
    const bytes = Uint8Array.from({ length: 60_000 }, (_, i) => (i * 2654435761) >>> 24)
    for (const pieceBytes of [300, 1023, 1024, 1025, 20_000, 39_999, 40_000, 40_001]) {
      vi.resetModules()
      const fresh = await import('./crc32c.ts')
      let sum = 0
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const end = Math.min(at + pieceBytes, bytes.length)
        sum = fresh.crc32c(bytes.subarray(0, end), sum, at)
        expect(sum, `${end} bytes, ${pieceBytes} at a time`).toBe(byDefinition(bytes.subarray(0, end)))
      }
    }
  })

  test('of a part leaves out what is before it', () => {
    const bytes = Uint8Array.from({ length: 130_001 }, (_, i) => (i * 2654435761) >>> 24)
    for (const length of [0, 4, 5, 300, 122_880, 122_881, 130_001])
      for (const from of [0, 1, 4, 300, 122_881].filter((bound) => bound <= length)) {
        const part = bytes.subarray(0, length)
        expect(crc32c(part, 7, from), `${length} from ${from}`).toBe(crc32c(bytes.slice(from, length), 7))
        if (length < 1000) expect(crc32cOfFew(part, 7, from)).toBe(crc32c(bytes.slice(from, length), 7))
      }
  })

  test('sees every flipped bit', () => {
    const bytes = Uint8Array.from({ length: 27 }, (_, i) => i * 7)
    const whole = crc32c(bytes)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(crc32c(flipped)).not.toBe(whole)
    }
  })
})

function byDefinition(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}
