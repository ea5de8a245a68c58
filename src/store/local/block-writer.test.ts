import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { BlockWriter } from './block-writer.ts'
import { temporaryFolder } from './temporary-store.fixture.ts'

const BLOCK = 100

/** As the file, but each call writes a part at most: what systems may do. */
function shortOf(file: FileHandle, most: number, writes: number[]): FileHandle {
  const writev = async (pieces: readonly Uint8Array[]) => {
    const bytes = Buffer.concat(pieces).subarray(0, most)
    writes.push(bytes.length)
    await file.write(bytes)
    return { bytesWritten: bytes.length }
  }
  return { writev } as unknown as FileHandle
}

test('all is written in order, in whole blocks until the end, and freed once it is', async () => {
  const path = join(temporaryFolder(onTestFinished), 'file')
  const sizes = fc.array(fc.integer({ min: 0, max: 350 }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(sizes, fc.constantFrom(7, 130, 100_000), async (lengths, most) => {
      await using file = await open(path, 'w')
      const writes: number[] = []
      const told: number[] = []
      const freed: number[] = []
      const writer = new BlockWriter(shortOf(file, most, writes), {
        blockBytes: BLOCK,
        timer: () => () => 1,
        onWrote: (bytes) => told.push(bytes),
      })
      const pieces = lengths.map((length, i) => Buffer.alloc(length, i + 1))
      let given = 0
      for (const [i, piece] of pieces.entries()) {
        await writer.write(piece, () => freed.push(i))
        given += piece.length
        const written = writes.reduce((sum, bytes) => sum + bytes, 0)
        expect(written).toBe(given - (given % BLOCK))
        for (const at of freed) expect(lengths.slice(0, at + 1).reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(written)
      }
      await writer.end()
      await writer.end()
      expect(told.reduce((a, b) => a + b, 0)).toBe(given)
      expect(told.slice(0, -1).every((bytes) => bytes % BLOCK === 0)).toBe(true)
      expect(freed.filter((i) => lengths[i] !== 0)).toEqual([...lengths.keys()].filter((i) => lengths[i] !== 0))
      expect((await readFile(path)).equals(Buffer.concat(pieces))).toBe(true)
    }),
    { numRuns: 100 },
  )
})

test('a real file takes several pieces at once', async () => {
  const path = join(temporaryFolder(onTestFinished), 'file')
  await using file = await open(path, 'w')
  const writer = new BlockWriter(file, { blockBytes: BLOCK, timer: () => () => 0, onWrote: () => undefined })
  for (const length of [60, 60, 60, 60, 1]) await writer.write(Buffer.alloc(length, length), () => undefined)
  await writer.end()
  expect((await readFile(path)).equals(Buffer.concat([Buffer.alloc(240, 60), Buffer.alloc(1, 1)]))).toBe(true)
})
