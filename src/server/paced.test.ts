import { expect, test } from 'vitest'
import { content } from '../store/content.fixture.ts'
import type { OpenBytes } from '../store/contracts.ts'
import { type PacedSource, paced } from './paced.ts'
import { Room } from './room.ts'

const MIB = 1 << 20
const blob = content(3 * MIB + 5, 1)

/** Gives the blob as a store does that keeps it in chunks of 1 MiB. */
class Source implements PacedSource {
  readonly opened: number[] = []
  closed = 0
  closing: Promise<unknown> | undefined
  readonly isRepeatable: boolean
  readonly offset: number
  readonly end: number

  constructor({ isRepeatable = true, offset = 0, end = blob.length } = {}) {
    this.isRepeatable = isRepeatable
    this.offset = offset
    this.end = end
  }

  get contentBytes() {
    return Math.min(this.end, blob.length) - this.offset
  }

  readonly open = async (offset: number): Promise<OpenBytes> => {
    this.opened.push(offset)
    const end = this.end
    async function* chunks() {
      for (let at = offset; at < end; at = (Math.floor(at / MIB) + 1) * MIB)
        yield blob.subarray(at, Math.min(end, (Math.floor(at / MIB) + 1) * MIB))
    }
    return {
      [Symbol.asyncIterator]: chunks,
      [Symbol.asyncDispose]: async () => {
        await this.closing
        this.closed++
      },
    }
  }
}

async function all(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const taken: Uint8Array[] = []
  for await (const part of parts) taken.push(part)
  return Buffer.concat(taken)
}

const MOST = 256 << 10

test('all of it comes, in parts of the size that was asked for', async () => {
  for (const [offset, end] of [
    [0, blob.length],
    [7, blob.length],
    [MIB + 1, 2 * MIB + 9],
    [5, 6],
    [9, 9],
  ] as const) {
    const source = new Source({ offset, end })
    const parts: number[] = []
    const taken = await all(
      (async function* () {
        for await (const part of paced(source, { room: new Room(MIB), mostBytes: MOST })) {
          parts.push(part.length)
          yield part
        }
      })(),
    )
    expect(taken.equals(blob.subarray(offset, end))).toBe(true)
    expect(Math.max(0, ...parts)).toBeLessThanOrEqual(MOST)
    expect(source.opened).toEqual([offset])
    expect(source.closed).toBe(1)
  }
})

test('readers take turns where there is room for one', async () => {
  const room = new Room(MIB)
  const taken = await Promise.all(Array.from({ length: 5 }, () => all(paced(new Source(), { room, mostBytes: MOST }))))
  expect(taken.every((bytes) => bytes.equals(blob))).toBe(true)
  expect(room.isCrowded).toBe(false)
})

test('what a client that stands still was to have is let go of, for others, and comes when it goes on', async () => {
  const room = new Room(MIB)
  const source = new Source()
  const slow = paced(source, { room, mostBytes: MOST, stalledMs: 1 })
  const first = (await slow.next()).value as Uint8Array
  // Cut out of what is let go of, or it would stay in memory with it.
  expect(first.buffer.byteLength).toBe(first.length)
  const copy = Buffer.from(first)
  // Waits for the room.
  expect((await all(paced(new Source(), { room, mostBytes: MOST }))).equals(blob)).toBe(true)
  expect(source.closed).toBe(1)
  // Only the part that it was given is left.
  expect(room.isCrowded).toBe(false)
  const rest = await all(slow)
  expect(Buffer.concat([copy, rest]).equals(blob)).toBe(true)
  expect(source.opened[0]).toBe(0)
  expect(source.opened[1]).toBe(first.length)
})

test('what cannot be opened again is kept, and others do not wait for it', async () => {
  const room = new Room(MIB)
  const source = new Source({ isRepeatable: false, end: Number.POSITIVE_INFINITY })
  const open = async (offset: number) => ({ ...(await new Source().open(offset)), ...closing(source) })
  const slow = paced(
    { open, isRepeatable: false, offset: 0, end: source.end, contentBytes: blob.length },
    { room, mostBytes: MOST, stalledMs: 1 },
  )
  const first = Buffer.from((await slow.next()).value as Uint8Array)
  expect((await all(paced(new Source(), { room, mostBytes: MOST }))).equals(blob)).toBe(true)
  expect(Buffer.concat([first, await all(slow)]).equals(blob)).toBe(true)
  expect(source.closed).toBe(1)
})

function closing(source: Source) {
  return {
    [Symbol.asyncDispose]: async () => {
      source.closed++
    },
  }
}

test('whoever leaves early gives back what was held', async () => {
  const room = new Room(MIB)
  const source = new Source()
  source.closing = new Promise((resolve) => setImmediate(resolve))
  for await (const _part of paced(source, { room, mostBytes: MOST })) break
  expect(source.closed).toBe(1)
  expect((await all(paced(new Source(), { room, mostBytes: MOST }))).equals(blob)).toBe(true)
})

test('what ends early ends so', async () => {
  const short = new Source({ end: MIB })
  const parts = paced(
    { open: short.open, isRepeatable: true, offset: 0, end: blob.length, contentBytes: blob.length },
    { room: new Room(MIB), mostBytes: MOST },
  )
  expect((await all(parts)).equals(blob.subarray(0, MIB))).toBe(true)
})
