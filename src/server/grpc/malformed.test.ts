import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { EchoProcess } from '../../../test/fixtures/grpc-echo-process.ts'
import { listening } from '../../../test/fixtures/grpc-listening.ts'
import { END_STREAM, FRAME, FrameClient } from '../../../test/fixtures/http2-frames.ts'
import {
  ByteStreamDefinition,
  QueryWriteStatusRequest,
  WriteRequest,
} from '../../proto/google/bytestream/bytestream.ts'
import { OPEN } from '../access.ts'
import { grpcServer } from './grpc-server.ts'
import { grpcService } from './service.ts'

const SERVICE = '/google.bytestream.ByteStream'
const QUERY = `${SERVICE}/QueryWriteStatus`
const WRITE = `${SERVICE}/Write`

interface Reply {
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders | undefined
  readonly bytes: Buffer
  /** In the trailers, or where there are none in the headers. */
  readonly status: number
}

function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, message])
}

const query = (resourceName: string) => QueryWriteStatusRequest.encode({ resourceName }).finish()
const writing = (resourceName: string, bytes = 0) =>
  WriteRequest.encode({ resourceName, writeOffset: 0, finishWrite: false, data: Buffer.alloc(bytes) }).finish()
const AN_ANSWER = '0000000004080310' // Of a query for three characters; 'complete' follows.

const BOMB = gzipSync(Buffer.alloc(20_000_000))

describe.each(['node', 'bun'] as const)('served on %s', (runtime) => {
  let echo: EchoProcess
  let session: ClientHttp2Session
  beforeAll(async () => {
    echo = await EchoProcess.start(runtime)
    session = connect(`http://127.0.0.1:${echo.port}`)
  })
  beforeEach(() => echo.forget())
  afterAll(async () => {
    session.destroy()
    await echo[Symbol.asyncDispose]()
  })

  /** `chunks` are sent one by one; the stream is ended behind them unless told otherwise. */
  function ask(
    path: string,
    chunks: readonly Uint8Array[],
    headers: IncomingHttpHeaders = {},
    isEnded = true,
  ): Promise<Reply> {
    const stream = session.request({
      ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
      ...headers,
    })
    for (const chunk of chunks) stream.write(chunk)
    if (isEnded) stream.end()
    return new Promise((resolve, reject) => {
      let head: IncomingHttpHeaders = {}
      let trailers: IncomingHttpHeaders | undefined
      const bytes: Buffer[] = []
      stream.on('response', (received) => {
        head = received
      })
      stream.on('trailers', (received) => {
        trailers = received
      })
      stream.on('data', (chunk: Buffer) => bytes.push(chunk))
      stream.on('end', () => {
        const status = Number((trailers ?? head)['grpc-status'] ?? Number.NaN)
        resolve({ headers: head, trailers, bytes: Buffer.concat(bytes), status })
        stream.destroy()
      })
      stream.on('error', reject)
    })
  }

  test('a call looks as it should', async () => {
    const { headers, trailers, bytes } = await ask(QUERY, [framed(query('abc'))])
    expect(headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' })
    expect(headers).not.toHaveProperty('grpc-status')
    expect(trailers).toMatchObject({ 'grpc-status': '0' })
    expect(bytes.toString('hex')).toMatch(AN_ANSWER)
  })

  test('a refusal is one frame, and its message is escaped', async () => {
    const { headers, trailers } = await ask(QUERY, [framed(query('status/5/100 % "ü"\n'))])
    expect(headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' })
    expect(headers['grpc-message']).toBe('100 %25 "%C3%BC"%0A')
    expect(trailers).toBeUndefined()
  })

  test.each([
    ['application/grpc+proto', 200],
    ['application/grpc; charset=utf-8', 200],
    ['Application/gRPC', 200],
    ['application/grpc+json', 415],
    ['application/grpc-web', 415],
    ['application/json', 415],
    ['', 415],
  ])('content of the type %s is answered by %i', async (type, status) => {
    const { headers } = await ask(QUERY, [framed(query('abc'))], { 'content-type': type })
    expect(headers[':status']).toBe(status)
  })

  test('a message of more fields than anybody needs is refused, and the connection goes on', async () => {
    const fields = Buffer.alloc(1_300_000, Buffer.from([0x7a, 0]))
    for (const path of [QUERY, WRITE]) {
      const { status, headers } = await ask(path, [framed(fields)])
      expect([status, headers['grpc-message']]).toEqual([8, 'A message has more fields than are read.'])
    }
    const fewer = Buffer.alloc(690_000, Buffer.from([0x7a, 1, 0]))
    expect((await ask(QUERY, [framed(Buffer.concat([fewer, query('abc')]))])).status).toBe(0)
  })

  test('another method of HTTP is refused', async () => {
    for (const method of ['GET', 'PUT'])
      expect((await ask(QUERY, [], { ':method': method })).headers[':status']).toBe(405)
  })

  test.each([
    ['no message', [], 12],
    ['two messages where one belongs', [framed(query('a')), framed(query('b'))], 12],
    ['a prefix that is cut off', [Buffer.from([0, 0, 0])], 13],
    ['a message that is cut off', [framed(query('abc'), 0, 100)], 13],
    ['an unknown flag', [framed(query('abc'), 2)], 13],
    ['a compressed message, and no encoding', [framed(gzipSync(query('abc')), 1)], 13],
    ['what is no message', [framed(Buffer.from([0xff, 0xff, 0xff]))], 13],
    ['a string that is longer than all', [framed(Buffer.from([0x0a, 0xff, 0xff, 0x03, 0x61]))], 13],
    ['a giant', [framed(query('abc'), 0, 0xffffffff)], 8],
    ['a byte too many', [framed(Buffer.alloc(0), 0, 4 * 1024 * 1024 + 512 * 1024 + 1)], 8],
  ])('%s', async (_name, chunks, code) => {
    expect((await ask(QUERY, chunks)).status).toBe(code)
  })

  test('what is wrong is answered before the stream ends', async () => {
    expect((await ask(QUERY, [framed(query('abc'), 0, 0xffffffff)], {}, false)).status).toBe(8)
    expect((await ask(QUERY, [framed(query('abc'), 7)], {}, false)).status).toBe(13)
    expect((await ask(`${SERVICE}/Nothing`, [], {}, false)).status).toBe(12)
    expect((await ask(WRITE, [framed(writing('a')), framed(writing('b'), 9)], {}, false)).status).toBe(13)
    await echo.next('failed', { messages: 1, code: 13 })
  })

  describe('encodings', () => {
    const gzip = { 'grpc-encoding': 'gzip' }

    test('gzip is read, and need not be used', async () => {
      expect((await ask(QUERY, [framed(gzipSync(query('abc')), 1)], gzip)).bytes.toString('hex')).toMatch(AN_ANSWER)
      expect((await ask(QUERY, [framed(query('abc'))], gzip)).bytes.toString('hex')).toMatch(AN_ANSWER)
    })

    test('what is not gzip', async () => {
      expect((await ask(QUERY, [framed(query('abc'), 1)], gzip)).status).toBe(13)
      expect((await ask(QUERY, [framed(gzipSync(query('abc')).subarray(0, -9), 1)], gzip)).status).toBe(13)
    })

    test('a bomb', async () => {
      expect((await ask(QUERY, [framed(BOMB, 1)], gzip)).status).toBe(8)
    })

    test('another is named as unknown, with those that are known', async () => {
      const { status, headers } = await ask(QUERY, [framed(query('abc'), 1)], { 'grpc-encoding': 'snappy' })
      expect([status, headers['grpc-accept-encoding']]).toEqual([12, 'identity,gzip'])
    })

    test('messages stay in their order', async () => {
      const large = framed(gzipSync(writing('count', 3_000_000), { level: 9 }), 1)
      const { bytes } = await ask(WRITE, [large, framed(writing('', 1)), framed(gzipSync(writing('', 2)), 1)], gzip)
      expect(bytes.toString('hex')).toBe('000000000508c38db701')
    })
  })

  describe('deadlines', () => {
    test.each(['100', '1x', '-1S', '1.5S', '123456789S', ''])('%s is none', async (timeout) => {
      expect((await ask(QUERY, [framed(query('abc'))], { 'grpc-timeout': timeout })).status).toBe(13)
    })

    test.each(['1H', '60S', '99999999m', '99999999S', '99999999H'])('%s is far', async (timeout) => {
      expect((await ask(QUERY, [framed(query('abc'))], { 'grpc-timeout': timeout })).status).toBe(0)
    })

    test.each(['50m', '50000u', '50000000n', '0S'])('%s is near', async (timeout) => {
      expect((await ask(QUERY, [framed(query('hang'))], { 'grpc-timeout': timeout })).status).toBe(4)
      await echo.next('aborted', { why: 4 })
    })

    test('while requests are awaited', async () => {
      const { status } = await ask(WRITE, [framed(writing('count', 10))], { 'grpc-timeout': '50m' }, false)
      expect(status).toBe(4)
      await echo.next('failed', { messages: 1, code: 4 })
    })
  })

  describe('borders', () => {
    test('many messages in one frame', async () => {
      const all = Array.from({ length: 500 }, (_, i) => framed(writing('count', i % 20)))
      expect((await ask(WRITE, [Buffer.concat(all)])).status).toBe(0)
      await echo.next('read', { messages: 500, bytes: 4750 })
    })

    test('a message byte by byte', async () => {
      using client = await FrameClient.connect(echo.port)
      client.call(1, WRITE)
      const bytes = Buffer.concat([framed(writing('count', 100)), framed(writing('', 0)), framed(writing('', 7))])
      for (let i = 0; i < bytes.length; i++) client.send(FRAME.data, 0, 1, bytes.subarray(i, i + 1))
      client.send(FRAME.data, END_STREAM, 1)
      await echo.next('read', { messages: 3, bytes: 107 })
    })
  })

  describe('a client that breaks off', () => {
    const half = framed(writing('count', 100)).subarray(0, 50)
    const whole = framed(writing('count', 100))
    test.each([
      ['behind the headers', WRITE, []],
      ['within a prefix', WRITE, [half.subarray(0, 3)]],
      ['within a message', WRITE, [half]],
      ['behind a message', WRITE, [whole]],
      ['within the second', WRITE, [whole, half]],
      ['before its only message', QUERY, []],
      ['within its only message', QUERY, [half]],
    ])('%s, by a reset or with its connection, has said nothing whole', async (_name, path, chunks) => {
      for (const how of ['reset', 'reset without an error', 'gone']) {
        echo.forget()
        using client = await FrameClient.connect(echo.port)
        client.call(1, path)
        for (const chunk of chunks) client.send(FRAME.data, 0, 1, chunk)
        client.call(3, QUERY)
        client.send(FRAME.data, END_STREAM, 3, framed(query('abc')))
        await client.next(FRAME.headers, 3)
        if (how === 'gone') client[Symbol.dispose]()
        else client.reset(1, how === 'reset' ? 8 : 0)
        await echo.next('call', { path, status: 1 })
        if (path === WRITE) await echo.next('failed', { code: 1 })
      }
    })

    test('of what is no call, before that could be said', async () => {
      using client = await FrameClient.connect(echo.port)
      for (let id = 1; id < 20; id += 2) {
        client.headers(id, {
          ':method': 'POST',
          ':scheme': 'http',
          ':path': QUERY,
          'content-type': 'application/grpc-web',
        })
        client.reset(id)
      }
      client.call(21, QUERY)
      client.send(FRAME.data, END_STREAM, 21, framed(query('abc')))
      expect(await client.next(FRAME.headers, 21)).toBeDefined()
    })

    test('while it is waited for', async () => {
      using client = await FrameClient.connect(echo.port)
      client.call(1, QUERY)
      client.send(FRAME.data, END_STREAM, 1, framed(query('hang')))
      await echo.next('waiting')
      client.reset(1)
      await echo.next('aborted', { why: 1 })
      await echo.next('call', { status: 1 })
    })

    test('while what it sent is not read', async () => {
      for (const code of [8, 0]) {
        echo.forget()
        using client = await FrameClient.connect(echo.port)
        client.call(1, WRITE)
        client.send(FRAME.data, 0, 1, framed(writing('hang')))
        await echo.next('waiting')
        for (let i = 0; i < 20; i++) client.send(FRAME.data, 0, 1, framed(writing('', 10_000)))
        client.call(3, QUERY)
        client.send(FRAME.data, END_STREAM, 3, framed(query('abc')))
        await client.next(FRAME.headers, 3)
        client.reset(1, code)
        await echo.next('aborted', { why: 1 })
        await echo.next('call', { path: WRITE, status: 1 })
      }
    })

    test('while it is answered', async () => {
      using client = await FrameClient.connect(echo.port)
      client.call(1, `${SERVICE}/Read`)
      client.send(FRAME.data, END_STREAM, 1, framed(query('many/1000/10000')))
      await client.next(FRAME.data, 1)
      client.reset(1)
      expect((await echo.next('returned')).produced).toBeLessThan(1000)
      await echo.next('call', { status: 1 })
    })

    test('when it is refused already', async () => {
      using client = await FrameClient.connect(echo.port)
      client.call(1, `${SERVICE}/Nothing`)
      await client.next(FRAME.headers, 1)
      client.reset(1)
      await echo.next('call', { status: 12 })
    })
  })

  describe('behind an early answer', () => {
    test('a client that sends what is in its window, and ends, hears of no reset', async () => {
      using client = await FrameClient.connect(echo.port)
      client.call(1, WRITE)
      client.send(FRAME.data, 0, 1, framed(writing('early')))
      for (let i = 0; i < 60; i++) client.send(FRAME.data, 0, 1, Buffer.alloc(16_384))
      client.send(FRAME.data, END_STREAM, 1)
      await echo.next('call', { path: WRITE, status: 0 })
      client.call(3, QUERY)
      client.send(FRAME.data, END_STREAM, 3, framed(query('abc')))
      const third = await client.next(FRAME.headers, 3)
      expect(third?.type).toBe(FRAME.headers)
      expect(client.taken(FRAME.reset, 1)).toBeUndefined()
    })

    test('one that sends on and on is left to wait, and others are not', async () => {
      using client = await FrameClient.connect(echo.port)
      client.call(1, WRITE)
      client.send(FRAME.data, 0, 1, framed(writing('early')))
      const answer = await client.next(FRAME.data, 1)
      expect(answer?.payload.subarray(0, 5).toString('hex')).toBe('000000000b')
      let window = 1024 * 1024 - 20
      for (let sent = 0; sent < window; sent += 16_000) {
        client.send(FRAME.data, 0, 1, Buffer.alloc(Math.min(16_000, window - sent)))
        for (let update = client.taken(FRAME.windowUpdate, 1); update; update = client.taken(FRAME.windowUpdate, 1))
          window += update.payload.readUInt32BE(0)
        client.call(2 * sent + 3, QUERY, END_STREAM)
        await client.next(FRAME.headers, 2 * sent + 3)
      }
      expect(window).toBeLessThan(3 * 1024 * 1024)
      expect(client.taken(FRAME.reset, 1)).toBeUndefined()
    })
  })
})

test('who still sends some time after an early answer is told to stop', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  try {
    const never = async function* () {}
    const methods = grpcService(ByteStreamDefinition, {
      read: ['read', never],
      write: ['write', async () => ({ committedSize: -1 })],
      queryWriteStatus: ['read', async () => ({ committedSize: 0, complete: false })],
    })
    await using server = await listening(grpcServer({ methods, gate: OPEN }))
    using client = await FrameClient.connect(server.port)
    client.call(1, WRITE)
    await client.next(FRAME.headers, 1)
    const trailers = await client.next(FRAME.headers, 1)
    expect((trailers?.flags ?? 0) & END_STREAM).toBe(END_STREAM)
    expect(client.taken(FRAME.reset, 1)).toBeUndefined()
    vi.advanceTimersByTime(5_000)
    expect((await client.next(FRAME.reset, 1))?.payload.readUInt32BE(0)).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})
