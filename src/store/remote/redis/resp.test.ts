import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodedCommand, isReplyError, NotRedis, type Reply, ReplyParser } from './resp.ts'

function encoded(reply: Reply): Buffer {
  if (reply === undefined) return Buffer.from('$-1\r\n')
  if (typeof reply === 'string') return Buffer.from(`+${reply}\r\n`)
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (isReplyError(reply)) return Buffer.from(`-${reply.text}\r\n`)
  return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')])
}

const word = fc.stringMatching(/^[A-Z]{1,9}$/)
const anyReply: fc.Arbitrary<Reply> = fc.oneof(
  fc.constant(undefined),
  word,
  fc.integer(),
  word.map((code) => ({ code, text: `${code} what was wrong` })),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
)

test('replies are what was sent, however it is cut into pieces', () => {
  fc.assert(
    fc.property(
      fc.array(anyReply, { maxLength: 8 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
      (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(encoded))
        const parser = new ReplyParser(300)
        const came: Reply[] = []
        for (let at = 0; at < bytes.length; ) {
          const length = cuts.next().value as number
          came.push(...parser.replies(bytes.subarray(at, at + length)))
          at += length
        }
        expect(came).toEqual(sent)
      },
    ),
  )
})

test('a value does not hold the piece that it came in', () => {
  const piece = encoded(Buffer.from('value'))
  const [value] = new ReplyParser(5).replies(piece)
  piece.fill(0)
  expect(value).toEqual(Buffer.from('value'))
})

test.each([
  ['what begins as no reply does', 'HTTP/1.1 400 Bad Request\r\n'],
  ['TLS', '\x15\x03\x03\x00\x02'],
  ['a list', '*1\r\n:1\r\n'],
  ['a line that ends otherwise', '+OK\n'],
  ['a length that is none', '$x\r\n'],
  ['a negative length', '$-2\r\n'],
  ['a value that is larger than any', '$6\r\n'],
  ['a number that is none', ':1e3\r\n'],
  ['a value that goes on', '$1\r\nab\r\n'],
  ['a value that ends otherwise', '$1\r\nabc:1\r\n'],
  ['a line without an end', `+${'x'.repeat(9000)}`],
])('%s is not of Redis', (_, bytes) => {
  expect(() => [...new ReplyParser(5).replies(Buffer.from(bytes, 'latin1'))]).toThrow(NotRedis)
})

test('a command is a list of strings, in bytes that are its own', () => {
  const value = Buffer.from('ä')
  const command = encodedCommand(['SET', 'ü', value, 'PX', 1000])
  value.fill(0)
  expect(command.toString()).toBe('*5\r\n$3\r\nSET\r\n$2\r\nü\r\n$2\r\nä\r\n$2\r\nPX\r\n$4\r\n1000\r\n')
})
