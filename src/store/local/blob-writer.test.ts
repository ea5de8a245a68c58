import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { openLocalStore } from './local-store.ts'
import { scanSegment } from './salvage.ts'
import type { SegmentRecord } from './segment.ts'
import { gives, temporaryFolder } from './temporary-store.fixture.ts'

test('what is dense lies in packs of its own, as it is; what compresses in others', async () => {
  const dir = temporaryFolder(onTestFinished)
  const texts = Array.from({ length: 30 }, (_, i) => Buffer.from(`${i} the same line over and over\n`.repeat(200)))
  const images = Array.from({ length: 30 }, () => randomBytes(6000))
  {
    await using store = await openLocalStore({ dir })
    const blobs = texts.flatMap((text, i) => [text, images[i] as Buffer])
    await Promise.all(blobs.map((bytes) => store.blobs.write(scope, digestOf(bytes), bytes)))
    for (const bytes of blobs) expect(await gives(store, bytes)).toBe(true)
  }
  const packs = packsIn(dir)
  const names = (codec: string) => packs.filter((pack) => pack.codec === codec).flatMap(({ digests }) => digests)
  expect(new Set(names('zstd'))).toEqual(new Set(texts.map(digestOf)))
  expect(new Set(names('raw'))).toEqual(new Set(images.map(digestOf)))
})

test('buffers that go round hold the blobs of one pack at a time', async () => {
  const dir = temporaryFolder(onTestFinished)
  await using store = await openLocalStore({ dir })
  const written: Buffer[] = []
  // More than goes into a batch, in several turns, from memory that does not lie side by side.
  for (let round = 0; round < 12; round++) {
    const blobs = Array.from({ length: 60 }, (_, i) => content(20_000 + i, round * 100 + i + 1))
    await Promise.all(blobs.map((bytes) => store.blobs.write(scope, digestOf(bytes), bytes)))
    written.push(...blobs)
  }
  for (const bytes of written) expect(await gives(store, bytes)).toBe(true)
})

function packsIn(dir: string): (SegmentRecord & { kind: 'pack' })[] {
  const journal = join(dir, 'journal')
  expect(existsSync(journal)).toBe(true)
  return readdirSync(journal).flatMap((name) =>
    [...scanSegment(join(journal, name), 1)].flatMap(({ record }) => (record.kind === 'pack' ? [record] : [])),
  )
}
