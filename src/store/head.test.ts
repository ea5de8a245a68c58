import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { head } from './head.ts'

/** A source that uses one buffer for all it gives. */
async function* source(pieces: readonly Uint8Array[], seen: { isClosed?: boolean } = {}): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(100)
  try {
    for (const piece of pieces) {
      buffer.set(piece)
      yield buffer.subarray(0, piece.length)
      buffer.fill(0)
    }
  } finally {
    seen.isClosed = true
  }
}

async function wholeOf(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of bytes) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

const pieces = fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 20 })

describe('the head of a stream', () => {
  it('is all of it up to the limit, and else the stream from its beginning', async () => {
    const expected = fc.option(fc.nat(2000), { nil: undefined })
    await fc.assert(
      fc.asyncProperty(pieces, fc.nat(1000), expected, async (given, limit, expectedBytes) => {
        const content = Buffer.concat(given)
        const options = expectedBytes === undefined ? {} : { expectedBytes }
        const { whole, rest } = await head(source(given), limit, options)
        expect(whole !== undefined).toBe(content.length <= limit)
        expect(Buffer.from(whole ?? (await wholeOf(rest)))).toEqual(content)
      }),
    )
  })

  it('closes its source when the rest is left, and when it is ended before', async () => {
    const seen: { isClosed?: boolean } = {}
    const given = Array.from({ length: 5 }, () => Buffer.alloc(50, 1))
    const { rest } = await head(source(given, seen), 60)
    for await (const piece of rest as AsyncIterable<Uint8Array>) {
      expect(piece.length).toBe(50)
      break
    }
    expect(seen.isClosed).toBe(true)
    const ended = { isClosed: false }
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(head(source(given, ended), 1000, { signal })).rejects.toThrow('enough')
  })
})
