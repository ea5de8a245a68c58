import { type CallOptions, Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EchoProcess } from '../../../test/fixtures/grpc-echo-process.ts'
import {
  QueryWriteStatusRequest,
  QueryWriteStatusResponse,
  ReadRequest,
  ReadResponse,
  WriteRequest,
  WriteResponse,
} from '../../proto/google/bytestream/bytestream.ts'
import { Status } from '../../proto/google/rpc/status.ts'

const SERVICE = '/google.bytestream.ByteStream'
const READ = 'read-token-0123456789'

type Outcome = { readonly code: number; readonly details: string; readonly metadata: Metadata }

function asking(client: () => Client) {
  const query = (
    name: string,
    options: CallOptions = {},
    metadata = new Metadata(),
    path = `${SERVICE}/QueryWriteStatus`,
  ) =>
    new Promise<Outcome & { size?: number }>((resolve) => {
      const call = client().makeUnaryRequest(
        path,
        (request: QueryWriteStatusRequest) => Buffer.from(QueryWriteStatusRequest.encode(request).finish()),
        (bytes) => QueryWriteStatusResponse.decode(bytes),
        { resourceName: name },
        metadata,
        options,
        (error: ServiceError | null, value?: QueryWriteStatusResponse) => {
          if (error) resolve(error)
          else call.once('status', (ended) => resolve({ ...ended, ...(value && { size: value.committedSize }) }))
        },
      )
    })
  const read = (name: string, options: CallOptions = {}) =>
    client().makeServerStreamRequest(
      `${SERVICE}/Read`,
      (request: ReadRequest) => Buffer.from(ReadRequest.encode(request).finish()),
      (bytes) => ReadResponse.decode(bytes),
      { resourceName: name, readOffset: 0, readLimit: 0 },
      new Metadata(),
      options,
    )
  const readAll = async (name: string) => {
    const call = read(name)
    const messages: Uint8Array[] = []
    const ended = new Promise<Outcome>((resolve) => call.on('status', resolve).on('error', () => undefined))
    call.on('data', ({ data }: ReadResponse) => messages.push(data))
    return { messages, ...(await ended) }
  }
  const write = (options: CallOptions = {}) => {
    const { promise, resolve } = Promise.withResolvers<Outcome & { size?: number }>()
    const call = client().makeClientStreamRequest(
      `${SERVICE}/Write`,
      (request: WriteRequest) => Buffer.from(WriteRequest.encode(request).finish()),
      (bytes) => WriteResponse.decode(bytes),
      new Metadata(),
      options,
      (error: ServiceError | null, value?: WriteResponse) => {
        if (error) resolve(error)
        else call.once('status', (ended) => resolve({ ...ended, ...(value && { size: value.committedSize }) }))
      },
    )
    return { call, ended: promise }
  }
  return { query, read, readAll, write }
}

const message = (resourceName: string, bytes = 0): WriteRequest => ({
  resourceName,
  writeOffset: 0,
  finishWrite: false,
  data: Buffer.alloc(bytes, 7),
})

describe.each(['node', 'bun'] as const)('with grpc-js, served on %s', (runtime) => {
  let echo: EchoProcess
  let client: Client
  const { query, read, readAll, write } = asking(() => client)

  beforeAll(async () => {
    echo = await EchoProcess.start(runtime)
    client = new Client(`127.0.0.1:${echo.port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    })
  })
  beforeEach(() => echo.forget())
  afterAll(async () => {
    client.close()
    await echo[Symbol.asyncDispose]()
  })

  describe('a call with one message', () => {
    test('is answered with one, and told of', async () => {
      expect(await query('abc')).toMatchObject({ code: status.OK, size: 3 })
      expect(await echo.next('call')).toMatchObject({
        ...{ protocol: 'grpc', method: 'POST', path: `${SERVICE}/QueryWriteStatus`, instance: '', status: 0 },
        ...{ receivedBytes: 10, sentBytes: 9, durationMs: expect.any(Number) },
      })
    })

    test('many at once', async () => {
      const names = Array.from({ length: 300 }, (_, i) => 'x'.repeat(i + 1))
      const answers = await Promise.all(names.map((name) => query(name)))
      expect(answers.map(({ size }) => size)).toEqual(names.map((name) => name.length))
    })

    test('of several megabytes', async () => {
      const name = 'y'.repeat(4_300_000)
      expect(await query(name)).toMatchObject({ size: name.length })
    })

    test('too large is refused', async () => {
      expect(await query('y'.repeat(5_000_000))).toMatchObject({
        code: status.RESOURCE_EXHAUSTED,
        details: expect.stringContaining('of 5000005 bytes; 4718592 are the most'),
      })
    })

    test('that is answered with many pieces', async () => {
      for (const bytes of [1, 16_000, 16_384, 3_000_000]) {
        expect(await query(`large/${bytes}`)).toMatchObject({ code: status.OK, size: 5 })
      }
    })

    test('in gzip', async () => {
      const metadata = new Metadata()
      metadata.set('grpc-internal-encoding-request', 'gzip')
      const name = 'z'.repeat(1_000_000)
      expect(await query(name, {}, metadata)).toMatchObject({ size: name.length })
      expect(((await echo.next('call')).receivedBytes as number) > 0).toBe(true)
    })

    test('has its metadata', async () => {
      const metadata = new Metadata()
      metadata.set('X-Test', 'some value')
      expect(await query('header', {}, metadata)).toMatchObject({ code: status.ABORTED, details: 'some value' })
    })
  })

  describe('a failure', () => {
    test('is told by its code and message, whatever is written there', async () => {
      for (const text of ['plain', '100 % of\n"ü" and \u{1f600}', ''])
        expect(await query(`status/5/${text}`)).toMatchObject({ code: status.NOT_FOUND, details: text })
    })

    test('has its details', async () => {
      const { code, metadata } = await query('details')
      const [details] = metadata.get('grpc-status-details-bin')
      expect(code).toBe(status.FAILED_PRECONDITION)
      expect(Status.decode(details as Buffer)).toEqual({
        ...{ code: status.FAILED_PRECONDITION, message: 'with details' },
        details: [{ typeUrl: 'type.googleapis.com/test', value: Buffer.from([1, 2, 3]) }],
      })
    })

    test('of ours is told to us in full, and to the client in few words', async () => {
      expect(await query('fault')).toMatchObject({
        code: status.INTERNAL,
        details: 'A fault of the server, told in its log.',
      })
      expect(await echo.next('fault')).toMatchObject({
        protocol: 'google.bytestream.ByteStream/QueryWriteStatus',
        message: 'Error: the disk is on fire',
      })
    })

    test.each([
      ['store.full', status.RESOURCE_EXHAUSTED],
      ['store.busy', status.UNAVAILABLE],
      ['store.read-only', status.PERMISSION_DENIED],
      ['store.incomplete', status.FAILED_PRECONDITION],
      ['store.no-entry', status.NOT_FOUND],
      ['store.unusable', status.INTERNAL],
    ])('of the store, %s, has a code of its own and no path', async (code, expected) => {
      const told = await query(`cache/${code}`)
      expect(told.code).toBe(expected)
      expect(told.details).not.toContain('secret')
      expect((await echo.next('fault')).message).toContain('/home/secret')
    })

    test('of a method that is not there', async () => {
      const told = await query('x', {}, new Metadata(), `${SERVICE}/Delete`)
      expect(told.code).toBe(status.UNIMPLEMENTED)
      expect(told.details).toContain('/google.bytestream.ByteStream/Delete')
    })
  })

  describe('a stream of answers', () => {
    test.each([
      ['of none', 'many/0/0', 0],
      ['of small ones', 'many/1000/10', 1000],
      ['of large ones', 'many/20/300000', 20],
      ['of empty ones', 'many/50/0', 50],
    ])('%s', async (_name, name, count) => {
      const { code, messages } = await readAll(name)
      const size = Number(name.split('/')[2])
      expect(code).toBe(status.OK)
      expect(messages.map((data) => data.length)).toEqual(Array.from({ length: count }, () => size))
      expect(messages.every((data, i) => data.every((byte) => byte === i % 256))).toBe(true)
    })

    test('of one that came in pieces', async () => {
      const { code, messages } = await readAll('pieces')
      expect([code, Buffer.concat(messages).toString()]).toEqual([status.OK, 'abcd'])
    })

    test('that fails at once, or after some', async () => {
      expect(await readAll('status/9/no')).toMatchObject({ code: 9, details: 'no', messages: [] })
      const { code, details, messages } = await readAll('many/3/10/fault')
      expect([code, details, messages.length]).toEqual([status.INTERNAL, expect.stringContaining('A fault of'), 3])
    })

    test('is made no faster than the client reads', async () => {
      const call = read('many/700/65536')
      call.on('error', () => undefined)
      await new Promise((resolve) => call.once('metadata', resolve))
      for (let i = 0; i < 60; i++) await query('ping')
      expect((await query('produced')).size).toBeLessThan(200)
      const all = new Promise<number>((resolve) => {
        let count = 0
        call.on('data', () => count++).on('end', () => resolve(count))
      })
      expect(await all).toBe(700)
    })

    test('that nobody wants any more is left', async () => {
      const name = 'many/3000/65536'
      const call = read(name)
      call.on('error', () => undefined)
      await new Promise((resolve) => call.once('data', resolve))
      call.cancel()
      expect(Number((await echo.next('returned', { name })).produced)).toBeLessThan(3000)
      await echo.next('call', { status: status.CANCELLED })
    })
  })

  describe('a stream of requests', () => {
    test('is read to its end', async () => {
      const { call, ended } = write()
      for (let i = 0; i < 200; i++) call.write(message('count', i * 100))
      call.end()
      expect(await ended).toMatchObject({ code: status.OK, size: 1_990_000 })
      expect(await echo.next('read')).toMatchObject({ messages: 200 })
    })

    test('of none', async () => {
      const { call, ended } = write()
      call.end()
      expect(await ended).toMatchObject({ code: status.OK, size: 0 })
    })

    test('is read no faster than it is taken', async () => {
      const { call, ended } = write()
      let taken = 0
      call.write(message('stall'))
      for (let i = 0; i < 48; i++) call.write(message('', 500_000), () => taken++)
      call.end()
      await echo.next('stalled')
      for (let i = 0; i < 60; i++) await query('ping')
      expect(taken).toBeLessThan(20)
      await query('release')
      expect(await ended).toMatchObject({ code: status.OK, size: 24_000_000 })
    })

    test('may be answered early: what still comes is thrown away', async () => {
      const { call, ended } = write()
      call.write(message('early'))
      const feeding = setInterval(() => call.write(message('', 100_000)), 1)
      expect(await ended).toMatchObject({ code: status.OK, size: -1 })
      clearInterval(feeding)
      call.end()
      await echo.next('call', { path: `${SERVICE}/Write`, status: 0 })
    })

    test('may be answered early while the client is stuck in sending', async () => {
      const { call, ended } = write()
      call.write(message('early'))
      for (let i = 0; i < 30; i++) call.write(message('', 1_000_000))
      expect(await ended).toMatchObject({ code: status.OK, size: -1 })
    })

    test('may be refused early', async () => {
      const { call, ended } = write()
      for (let i = 0; i < 10; i++) call.write(message('status/3/not so', 1_000_000))
      expect(await ended).toMatchObject({ code: status.INVALID_ARGUMENT, details: 'not so' })
    })

    test('that the client breaks off fails', async () => {
      const { call, ended } = write()
      call.write(message('count', 10))
      call.write(message('stall', 10))
      await echo.next('stalled')
      call.cancel()
      expect((await ended).code).toBe(status.CANCELLED)
      await echo.next('call', { status: status.CANCELLED })
      await query('release')
      await echo.next('failed', { messages: 2, code: status.CANCELLED })
    })
  })

  describe('a deadline', () => {
    const soon = () => ({ deadline: Date.now() + 200 })

    test('that passes ends the call on both sides', async () => {
      expect((await query('hang', soon())).code).toBe(status.DEADLINE_EXCEEDED)
      const { why } = await echo.next('aborted')
      expect([status.DEADLINE_EXCEEDED, status.CANCELLED]).toContain(why)
    })

    test('that is far away changes nothing', async () => {
      expect(await query('abc', { deadline: Date.now() + 3_600_000 })).toMatchObject({ code: status.OK, size: 3 })
    })
  })

  test('what waits for a client that has gone is told', async () => {
    const call = read('hang')
    call.on('error', () => undefined)
    await echo.next('waiting')
    call.cancel()
    expect(await echo.next('aborted')).toMatchObject({ why: status.CANCELLED })
  })
})

describe('access', () => {
  let echo: EchoProcess
  let client: Client
  const { query, write } = asking(() => client)

  beforeAll(async () => {
    echo = await EchoProcess.start('node', `read ${READ}`)
    client = new Client(`127.0.0.1:${echo.port}`, credentials.createInsecure())
  })
  afterAll(async () => {
    client.close()
    await echo[Symbol.asyncDispose]()
  })
  const showing = (authorization: string) => {
    const metadata = new Metadata()
    metadata.set('authorization', authorization)
    return metadata
  }

  test('needs a token', async () => {
    expect((await query('x')).code).toBe(status.UNAUTHENTICATED)
    expect((await query('x', {}, showing('Bearer another-token-0123456789'))).code).toBe(status.UNAUTHENTICATED)
    const { call, ended } = write()
    call.write(message('count'))
    expect((await ended).code).toBe(status.UNAUTHENTICATED)
  })

  test('is by a bearer token, or basic', async () => {
    expect((await query('x', {}, showing(`Bearer ${READ}`))).code).toBe(status.OK)
    expect((await query('x', {}, showing(`Basic ${btoa(`me:${READ}`)}`))).code).toBe(status.OK)
  })

  test('that may only read does not write', async () => {
    const told = await new Promise<ServiceError | null>((resolve) => {
      const call = client.makeClientStreamRequest(
        `${SERVICE}/Write`,
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
        showing(`Bearer ${READ}`),
        (error) => resolve(error),
      )
      call.end()
    })
    expect(told?.code).toBe(status.PERMISSION_DENIED)
  })
})
