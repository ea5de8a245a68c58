import { expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { ArrivedBlobs } from './arrived-blobs.ts'

test('what arrived is had until 8 MiB of newer ones came', () => {
  const arrived = new ArrivedBlobs()
  const blobs = Array.from({ length: 10 }, (_, i) => content(1 << 20, i))
  for (const bytes of blobs) expect(arrived.add(digestOf(bytes), bytes)).toBe(true)
  expect(blobs.map((bytes) => arrived.get(digestOf(bytes)) !== undefined)).toEqual([
    ...[false, false],
    ...Array.from({ length: 8 }, () => true),
  ])
  const [, , third] = blobs
  // Once more is no more.
  arrived.add(digestOf(third as Buffer), third as Buffer)
  expect(blobs.filter((bytes) => arrived.get(digestOf(bytes)) !== undefined)).toHaveLength(8)
})

test('what is not the blob is refused; one of another size is not had', () => {
  const arrived = new ArrivedBlobs()
  const bytes = content(100, 1)
  expect(arrived.add(digestOf(bytes), content(100, 2))).toBe(false)
  expect(arrived.add({ ...digestOf(bytes), sizeBytes: 99 }, bytes)).toBe(false)
  expect(arrived.get(digestOf(bytes))).toBeUndefined()
  arrived.add(digestOf(bytes), bytes)
  expect(arrived.get({ ...digestOf(bytes), sizeBytes: 99 })).toBeUndefined()
  bytes.fill(0)
  expect(Buffer.from(arrived.get(digestOf(content(100, 1))) as Uint8Array)).toEqual(content(100, 1))
})
