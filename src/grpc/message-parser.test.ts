import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MessageParser, MessagePart, type ReceivedMessage } from './message-parser.ts'
import { GrpcCode } from './status.ts'

const MOST = 600_000

function framed(message: Uint8Array, flag: number, length = message.length): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, message])
}

function parsed(chunks: readonly Uint8Array[]): { messages: ReceivedMessage[]; isWithinMessage: boolean } {
  const messages: ReceivedMessage[] = []
  const parser = new MessageParser(MOST, (message) => messages.push(message))
  for (const chunk of chunks) parser.push(chunk)
  return { messages, isWithinMessage: parser.isWithinMessage }
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

test('messages are the same wherever they are cut', () => {
  const size = fc.oneof({ weight: 6, arbitrary: fc.nat(30) }, fc.nat(MOST))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(size, fc.boolean()), { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (all, cuts) => {
        const sent = all.map(([bytes, isCompressed], i) => ({ isCompressed, bytes: Buffer.alloc(bytes, i + 1) }))
        const stream = Buffer.concat(sent.map(({ bytes, isCompressed }) => framed(bytes, isCompressed ? 1 : 0)))
        const { messages, isWithinMessage } = parsed(cutAt(stream, cuts))
        expect(messages.map(({ isCompressed }) => isCompressed)).toEqual(sent.map(({ isCompressed }) => isCompressed))
        expect(messages.every(({ bytes }, i) => sent[i]?.bytes.equals(bytes))).toBe(true)
        expect(isWithinMessage).toBe(false)
      },
    ),
    { numRuns: 60 },
  )
})

test('what is cut off is known to be', () => {
  const bytes = framed(Buffer.from('abc'), 0)
  for (let end = 1; end < bytes.length; end++) expect(parsed([bytes.subarray(0, end)]).isWithinMessage).toBe(true)
  expect(parsed([bytes, bytes.subarray(0, 1)])).toMatchObject({ messages: [{}], isWithinMessage: true })
})

test('the largest is taken, and one larger refused as soon as its length is known', () => {
  expect(parsed([framed(Buffer.alloc(MOST), 0)]).messages).toHaveLength(1)
  const code = GrpcCode.RESOURCE_EXHAUSTED
  const tooLarge = framed(Buffer.alloc(0), 0, MOST + 1)
  expect(() => parsed([tooLarge])).toThrow(expect.objectContaining({ code }))
  expect(() => parsed(cutAt(tooLarge, [1, 3]))).toThrow(expect.objectContaining({ code }))
})

test('what lies in one piece is not copied', () => {
  const bytes = framed(Buffer.from('abc'), 0)
  expect(parsed([bytes]).messages[0]?.bytes.buffer).toBe(bytes.buffer)
})

test('what can be divided is handed out as it comes, wherever it is cut', () => {
  const HEAD = 3
  const sizes = fc.array(fc.integer({ min: HEAD, max: 200 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(sizes, fc.array(fc.nat(), { maxLength: 12 }), fc.nat(1), (all, cuts, flag) => {
      const sent = all.map((bytes, i) => Buffer.alloc(bytes, i + 1))
      const chunks = cutAt(Buffer.concat(sent.map((bytes) => framed(bytes, flag))), cuts)
      const found: Buffer[] = []
      let open: Buffer[] = []
      const takePart = ({ data, offset, isLast }: { data: Uint8Array; offset: number; isLast: boolean }) => {
        expect(offset).toBe(Buffer.concat(open).length)
        expect(data.length > 0 || isLast).toBe(true)
        open.push(Buffer.from(data))
        if (!isLast) return
        found.push(Buffer.concat(open))
        open = []
      }
      const parser = new MessageParser(
        MOST,
        (message) => {
          if (!(message instanceof MessagePart)) found.push(Buffer.from(message.bytes.subarray(HEAD)))
          else {
            expect(flag).toBe(0)
            takePart(message.message as Parameters<typeof takePart>[0])
          }
        },
        (start) =>
          start.length < HEAD
            ? undefined
            : { dataAt: HEAD, part: (data, offset, isLast) => ({ data, offset, isLast }) },
      )
      for (const chunk of chunks) {
        parser.push(chunk)
        expect(open.length === 0 || parser.isWithinMessage).toBe(true)
      }
      expect(found).toEqual(sent.map((bytes) => bytes.subarray(HEAD)))
      expect(parser.isWithinMessage).toBe(false)
    }),
    // Cut behind the prefix of one that is divided, before one whose beginning is too short for that.
    { numRuns: 500, examples: [[[30, 16], [5, 42], 0]] },
  )
})
