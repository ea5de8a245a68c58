import fc from 'fast-check'
import { expect, test } from 'vitest'
import { content } from '../../store/content.fixture.ts'
import { type GoRequest, GoRequestReader } from './go-requests.ts'

interface Heard {
  readonly requests: GoRequest[]
  readonly bodies: Buffer[]
  /** What was handed on at once at most. */
  largestPiece: number
}

/** Reads `text` in pieces of the given sizes, the last of which repeats. */
function heard(text: string | Buffer, sizes: readonly number[] = [1 << 20]): Heard {
  const said: Heard = { requests: [], bodies: [], largestPiece: 0 }
  let pieces: Buffer[] = []
  const reader = new GoRequestReader({
    request: (request) => void said.requests.push(request),
    beginPut(put) {
      said.requests.push(put)
      pieces = []
    },
    body(bytes) {
      pieces.push(Buffer.from(bytes))
      said.largestPiece = Math.max(said.largestPiece, bytes.length)
    },
    endPut: () => void said.bodies.push(Buffer.concat(pieces)),
  })
  const all = Buffer.from(text as string)
  for (let at = 0, i = 0; at < all.length; i++) {
    const size = sizes[Math.min(i, sizes.length - 1)] as number
    reader.push(all.subarray(at, at + size))
    at += size
  }
  return said
}

const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64')
const line = (value: object) => `${JSON.stringify(value)}\n\n`
const ACTION = 'ab'.repeat(32)
const OUTPUT = 'cd'.repeat(32)

/** As Go 1.24 to 1.26 write them: the object, an empty line, then the body. */
function putText(id: number, body: Uint8Array): string {
  const put = { ID: id, Command: 'put', ActionID: base64(ACTION), OutputID: base64(OUTPUT), BodySize: body.length }
  if (body.length === 0) return line({ ...put, BodySize: undefined })
  return `${line(put)}"${Buffer.from(body).toString('base64')}"\n`
}

test('what Go says is heard, however it is cut into pieces', () => {
  const bodies = [content(0, 1), content(1, 2), content(2, 3), content(3, 4), content(4000, 5)]
  const text =
    line({ ID: 1, Command: 'get', ActionID: base64(ACTION) }) +
    bodies.map((body, i) => putText(i + 2, body)).join('') +
    line({ ID: 9, Command: 'close' })
  const whole = heard(text)
  expect(whole.requests[0]).toEqual({ command: 'get', id: 1, action: ACTION })
  expect(whole.requests[5]).toEqual({ command: 'put', id: 6, action: ACTION, output: OUTPUT, sizeBytes: 4000 })
  expect(whole.requests.at(-1)).toEqual({ command: 'close', id: 9 })
  expect(whole.bodies.map((body, i) => body.equals(Buffer.from(bodies[i] as Uint8Array)))).toEqual(
    bodies.map(() => true),
  )
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 50 }), (sizes) => {
      const { requests, bodies: read } = heard(text, sizes)
      expect(requests).toEqual(whole.requests)
      expect(read.map((body) => body.toString('hex'))).toEqual(whole.bodies.map((body) => body.toString('hex')))
    }),
    { numRuns: 60 },
  )
})

test('a large body is handed on as it comes', () => {
  const body = content(3_000_000, 1)
  const { bodies, largestPiece } = heard(putText(1, body), [65_536])
  expect(bodies[0]?.equals(Buffer.from(body))).toBe(true)
  expect(largestPiece).toBeLessThanOrEqual(65_536)
})

test('Go 1.23 and before say ObjectID', () => {
  const text = line({ ID: 1, Command: 'put', ActionID: base64(ACTION), ObjectID: base64(OUTPUT) })
  expect(heard(text).requests).toEqual([{ command: 'put', id: 1, action: ACTION, output: OUTPUT, sizeBytes: 0 }])
  expect(heard(text).bodies).toEqual([Buffer.alloc(0)])
})

test.each([
  [{ ID: 3, Command: 'get2', ActionID: base64(ACTION) }, 'get2'],
  [{ ID: 3, Command: 'get' }, 'get'],
  [{ ID: 3, Command: 'get', ActionID: '' }, 'get'],
  [{ ID: 3, Command: 'get', ActionID: base64('ab'.repeat(65)) }, 'get'],
  [{ ID: 3, Command: 'put', ActionID: base64(ACTION) }, 'put'],
  [{ ID: 3, Command: 'put', ActionID: base64(ACTION), OutputID: base64(OUTPUT), BodySize: -1 }, 'put'],
  [{ ID: 3, Command: 'put', ActionID: base64(ACTION), OutputID: base64(OUTPUT), BodySize: 'x' }, 'put'],
])('%j is answered as unknown', (message, name) => {
  expect(heard(line(message)).requests).toEqual([{ command: 'unknown', id: 3, name }])
})

test.each([
  ['hello\n', 'no JSON object'],
  ['3\n', 'no JSON object'],
  ['null\n', 'no JSON object'],
  ['{"Command":"get"}\n', 'has no ID'],
  [`${'x'.repeat(70_000)}`, 'too long'],
  [`${line({ ID: 1, Command: 'put', ActionID: base64(ACTION), OutputID: base64(OUTPUT), BodySize: 3 })}{}`, 'a body'],
])('%j is nothing that Go says', (text, why) => {
  expect(() => heard(text)).toThrow(expect.objectContaining({ code: 'usage', message: expect.stringContaining(why) }))
})
