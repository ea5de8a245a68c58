import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EchoProcess } from '../../../test/fixtures/grpc-echo-process.ts'
import { FRAME, FrameClient } from '../../../test/fixtures/http2-frames.ts'

/** `RECUE_FUZZ_MORE=100` runs a hundred times as many. */
const MORE = Number(process.env.RECUE_FUZZ_MORE ?? 1)
const RUNS = 30 * MORE

const SERVICE = '/google.bytestream.ByteStream'

/** Messages that are nearly right, so that more than the first check is met. */
const message = fc.oneof(
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => framed(bytes)) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('count', 'early', 'status/5/x', 'fault', 'many/3/100', 'large/70000', '')
      .map((name) => framed(Buffer.from([0x0a, name.length, ...Buffer.from(name)]))),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => framed(gzipSync(bytes), 1)) },
  fc
    .record({ bytes: fc.uint8Array({ maxLength: 60 }), flag: fc.nat(3), length: fc.nat(2 ** 32 - 1) })
    .map(({ bytes, flag, length }) => framed(bytes, flag, length)),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
)

const stream = fc.record({
  path: fc.constantFrom('Read', 'Write', 'Write', 'QueryWriteStatus', 'Nothing'),
  body: fc.array(message, { maxLength: 5 }).map((all) => Buffer.concat(all)),
  cuts: fc.array(fc.nat(300), { maxLength: 6 }),
  encoding: fc.constantFrom(undefined, undefined, 'gzip', 'identity', 'br'),
  timeout: fc.constantFrom(undefined, undefined, '10S', '0m', 'x'),
  end: fc.constantFrom('ended', 'ended', 'ended', 'reset', 'open'),
})

type Asked = typeof stream extends fc.Arbitrary<infer T> ? T : never

function framed(message: Uint8Array, flag = 0, length = message.length): Buffer<ArrayBuffer> {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, message])
}

describe.each(['node', 'bun'] as const)('served on %s', (runtime) => {
  let echo: EchoProcess
  let session: ClientHttp2Session
  beforeAll(async () => {
    echo = await EchoProcess.start(runtime)
    session = connect(`http://127.0.0.1:${echo.port}`)
  })
  afterAll(async () => {
    session.destroy()
    await echo[Symbol.asyncDispose]()
  })

  /** The status; `cut` for a stream that was reset, whoever did it. */
  function ask({ path, body, cuts, encoding, timeout, end }: Asked) {
    const call = session.request({
      ...{ ':method': 'POST', ':path': `${SERVICE}/${path}`, 'content-type': 'application/grpc' },
      ...(encoding && { 'grpc-encoding': encoding }),
      ...(timeout && { 'grpc-timeout': timeout }),
    })
    let at = 0
    for (const cut of [...cuts, body.length]) {
      if (cut > at) call.write(body.subarray(at, cut))
      at = Math.max(at, cut)
    }
    if (end !== 'open') call.end()
    return new Promise<string>((resolve) => {
      let status: string | undefined
      const note = (headers: IncomingHttpHeaders) => {
        status = (headers['grpc-status'] as string | undefined) ?? status
      }
      call.on('response', note).on('trailers', note).resume()
      call.on('error', () => undefined)
      call.on('close', () => resolve(status ?? 'cut'))
      call.on('end', () => call.close())
      if (end === 'reset') call.close(8)
      if (end === 'open') setImmediate(() => call.end())
    })
  }

  test('whatever comes on a stream is answered by a status, and the stream ends', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stream, { minLength: 1, maxLength: 8 }), async (streams) => {
        const answers = await Promise.all(streams.map(ask))
        for (const [i, answer] of answers.entries()) {
          if (streams[i]?.end !== 'reset') expect(answer).toMatch(/^\d+$/)
          await echo.next('call')
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('whatever comes on a connection, others are answered', async () => {
    const frame = fc.record({
      type: fc.nat(12),
      flags: fc.nat(255),
      id: fc.constantFrom(0, 1, 1, 3, 5, 2),
      payload: fc.uint8Array({ maxLength: 80 }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('Write', 'QueryWriteStatus'), { maxLength: 3 }),
        fc.array(frame, { maxLength: 12 }),
        async (calls, frames) => {
          using client = await FrameClient.connect(echo.port)
          for (const [i, path] of calls.entries()) client.call(2 * i + 1, `${SERVICE}/${path}`)
          for (const { type, flags, id, payload } of frames) client.send(type, flags, id, payload)
          client.send(FRAME.settings, 0, 0, Buffer.from([0]))
          await client.next(FRAME.goAway, 0)
        },
      ),
      { numRuns: RUNS },
    )
    expect(
      await ask({
        path: 'QueryWriteStatus',
        body: framed(Buffer.alloc(0)),
        cuts: [],
        encoding: undefined,
        timeout: undefined,
        end: 'ended',
      }),
    ).toBe('0')
  })
})
