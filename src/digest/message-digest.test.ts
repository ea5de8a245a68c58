import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOfMessage } from './message-digest.ts'
import { digestOf } from './sha256.ts'

// FIPS 180-4's own examples (NIST, "Secure Hash Standard, Examples with Intermediate Values").
test.each([
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
])('of %j is as published', (text, hash) => {
  expect(digestOfMessage(Buffer.from(text))).toEqual({ hash, sizeBytes: text.length })
})

test('is that of node:crypto at every length around a block, and where the module has no more room', () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 2654435761) >>> 24)
  const lengths = [...Array.from({ length: 200 }, (_, i) => i), 4095, 64_919, 64_920, 64_921, 65_536, 70_000]
  for (const length of lengths) {
    const part = bytes.subarray(5, 5 + length)
    expect(digestOfMessage(part), `${length} bytes`).toEqual(digestOf(part))
  }
})

test('is that of node:crypto, whatever the bytes and whatever was digested before', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
      expect(digestOfMessage(bytes)).toEqual(digestOf(bytes))
    }),
    { numRuns: 300 },
  )
})
