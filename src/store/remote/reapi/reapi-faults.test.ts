import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../../digest/sha256.ts'
import type { CacheError } from '../../../errors.ts'
import {
  BatchReadBlobsRequest,
  BatchReadBlobsResponse,
  Compressor_Value,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { ReadResponse, WriteResponse } from '../../../proto/google/bytestream/bytestream.ts'
import { gateOf } from '../../../server/access.ts'
import { certificateFor } from '../../../server/listen/certificate.fixture.ts'
import { temporaryServer } from '../../../server/temporary-server.fixture.ts'
import { action, result } from '../../action-store.contract.ts'
import { content } from '../../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../contracts.ts'
import { hearCorruption } from '../../local/corrupt.ts'
import {
  answer,
  asHttp,
  begin,
  capabilitiesAs,
  faultyGrpc,
  faultyHttp,
  faultyPort,
  HASTY,
  type Handler,
  PATIENT,
  refuse,
  say,
} from '../fault-servers.fixture.ts'
import { openRemote, type RemoteOptions } from '../open-remote.ts'
import type { RemoteEnd } from '../remote-end.ts'

let used: AsyncDisposableStack
beforeEach(() => {
  used = new AsyncDisposableStack()
})
afterEach(() => used.disposeAsync())

async function opened(address: string, options: RemoteOptions = PATIENT): Promise<RemoteEnd> {
  return used.use(await openRemote(address, options))
}

async function faulty(handlers: Readonly<Record<string, Handler>>, options?: RemoteOptions) {
  const server = used.use(await faultyGrpc(handlers))
  return { ...(await opened(server.address, options)), asked: server.asked }
}

const small = content(5_000, 1)
const large = content(3_000_000, 2)

/** What was handed out of a blob before it ended as it did. */
async function read(end: RemoteEnd, bytes: Buffer): Promise<{ handedOut: number; fault: CacheError | undefined }> {
  let handedOut = 0
  try {
    await using found = await end.blobs.read(scope, digestOf(bytes))
    for await (const piece of found ?? []) handedOut += piece.length
    return { handedOut, fault: undefined }
  } catch (error) {
    return { handedOut, fault: error as CacheError }
  }
}

function batchOf(data: Buffer): Handler {
  return (stream, request) => {
    const { digests } = BatchReadBlobsRequest.decode(request)
    const responses = digests.map((digest) => ({
      digest,
      data,
      compressor: Compressor_Value.IDENTITY,
      status: undefined,
    }))
    answer(stream, BatchReadBlobsResponse.encode({ responses }).finish())
  }
}

function streamOf(pieces: readonly Uint8Array[], after: (stream: Parameters<Handler>[0]) => void): Handler {
  return (stream) => {
    begin(stream)
    for (const data of pieces) say(stream, ReadResponse.encode({ data: Buffer.from(data) }).finish())
    after(stream)
  }
}

const end: Parameters<typeof streamOf>[1] = (stream) => stream.end()
const halves = [large.subarray(0, 1_500_000), large.subarray(1_500_000)] as const

describe('a server that lies', () => {
  const flipped = Buffer.from(small)
  flipped[17] = (flipped[17] as number) ^ 1
  test.each([
    ['other bytes', flipped],
    ['fewer bytes', small.subarray(1)],
    ['more bytes', Buffer.concat([small, small])],
    ['nothing', Buffer.alloc(0)],
  ])('hands out nothing of a small blob: %s', async (_, data) => {
    const server = await faulty({ BatchReadBlobs: batchOf(data) })
    expect(await read(server, small)).toMatchObject({ handedOut: 0, fault: { code: 'store.corrupt' } })
    const told: string[] = []
    using _hearing = hearCorruption(({ where }) => told.push(where))
    const other = content(6_000, 3)
    for await (const entry of server.blobs.readBatch(scope, [digestOf(other)])) expect(entry.bytes).toBeUndefined()
    expect(told).toEqual([expect.stringContaining(digestOf(other).hash)])
  })

  test('of which nobody knew that it takes little at once is asked again', async () => {
    const bytes = [content(300, 1), content(300, 2), content(300, 3)]
    const all = new Map(bytes.map((blob) => [digestOf(blob).hash, blob]))
    const server = await faulty({
      GetCapabilities: capabilitiesAs((message) => ({
        ...message,
        cacheCapabilities: message.cacheCapabilities && { ...message.cacheCapabilities, maxBatchTotalSizeBytes: 1_000 },
      })),
      BatchReadBlobs: (stream, request) => {
        const { digests } = BatchReadBlobsRequest.decode(request)
        if (digests.length > 2) return refuse(stream, 3, 'too much')
        batchOf(all.get(digests[0]?.hash ?? '') as Buffer)(stream, request)
      },
    })
    for await (const entry of server.blobs.readBatch(scope, bytes.map(digestOf)))
      expect(bytes[entry.index]?.equals(entry.bytes as Uint8Array)).toBe(true)
    expect(server.asked.filter((method) => method === 'BatchReadBlobs')).toHaveLength(4)
    expect((await read(server, bytes[0] as Buffer)).handedOut).toBe(300)
  })

  const wrong = Buffer.from(large)
  wrong[2_999_999] = (wrong[2_999_999] as number) ^ 1
  test.each([
    ['a wrong last byte', [wrong]],
    ['too few bytes, and all well', [halves[0]]],
    ['too many', [...halves, Buffer.alloc(1)]],
    ['none', []],
  ])('hands out nothing of a large one: %s', async (_, pieces) => {
    const server = await faulty({ Read: streamOf(pieces, end) })
    expect(await read(server, large)).toMatchObject({ handedOut: 0, fault: { code: 'store.corrupt' } })
  })

  test('is left when it goes on for ever', async () => {
    let said = 0
    let isLeft = false
    const server = await faulty({
      Read: async (stream) => {
        begin(stream)
        stream.once('close', () => {
          isLeft = true
        })
        const data = Buffer.alloc(1 << 20)
        while (!stream.destroyed) {
          said += data.length
          if (!say(stream, ReadResponse.encode({ data }).finish()))
            await Promise.race([once(stream, 'drain'), once(stream, 'close')])
        }
      },
    })
    expect(await read(server, large)).toMatchObject({ handedOut: 0, fault: { code: 'store.corrupt' } })
    await expect.poll(() => isLeft).toBe(true)
    expect(said).toBeLessThan(30 << 20)
  })

  test('within a result, makes it a miss', async () => {
    const file = { path: 'out', digest: digestOf(small), isExecutable: false, contents: flipped }
    for (const lie of [
      { ...result([]), outputFiles: [file] },
      { ...result([]), stdoutDigest: digestOf(small), stdoutRaw: flipped },
      { ...result([]), stderrDigest: digestOf(small), stderrRaw: flipped },
    ]) {
      const server = await faulty({ GetActionResult: (stream) => answer(stream, ActionResult.encode(lie).finish()) })
      expect(await server.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'corrupt' })
    }
  })

  test('says that it kept less than it was sent', async () => {
    const server = await faulty({
      Write: (stream) => {
        stream.resume().once('end', () => answer(stream, WriteResponse.encode({ committedSize: 7 }).finish()))
      },
    })
    await expect(server.blobs.write(scope, digestOf(large), large)).rejects.toMatchObject({ code: 'remote.failed' })
  })

  test('says nothing of a blob that it was sent', async () => {
    const server = await faulty({ BatchUpdateBlobs: (stream) => answer(stream, Buffer.alloc(0)) })
    await expect(server.blobs.write(scope, digestOf(small), small)).rejects.toMatchObject({ code: 'remote.failed' })
  })
})

test('a server that has it already, and goes on listening, is sent no more', async () => {
  const server = await faulty({
    Write: (stream) => answer(stream.resume(), WriteResponse.encode({ committedSize: 300_000_000 }).finish()),
  })
  let given = 0
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (; given < 300_000_000; given += 1_000_000) {
      yield large.subarray(0, 1_000_000)
      await new Promise(setImmediate)
    }
  }
  await server.blobs.write(scope, { ...digestOf(large), sizeBytes: 300_000_000 }, endless())
  expect(given).toBeLessThan(100_000_000)
})

describe('a server that breaks off', () => {
  test.each<[string, Parameters<typeof streamOf>[1]]>([
    ['its stream', (stream) => stream.close(2)],
    ['its connection', (stream) => stream.session?.destroy()],
    ['within a message', (stream) => stream.end(Buffer.from([0, 0, 0, 9, 9, 1]))],
  ])('%s: nothing is handed out', async (_, after) => {
    const server = await faulty({ Read: streamOf([halves[0]], after) })
    const { handedOut, fault } = await read(server, large)
    expect(handedOut).toBe(0)
    expect(fault?.code).toMatch(/^(remote\.unreachable|store\.corrupt)$/)
  })

  test('within a message that follows a whole one: no answer is taken from it', async () => {
    const { actions } = await faulty({
      GetActionResult: (stream) => {
        begin(stream)
        say(stream, ActionResult.encode(result([])).finish())
        stream.end(Buffer.from([0, 0, 0, 0, 9, 1]))
      },
    })
    await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.unreachable' })
  })

  test('is asked again by the next call, on a new connection', async () => {
    let isFirst = true
    const server = await faulty({
      GetActionResult: (stream) => {
        if (isFirst) stream.session?.destroy()
        else refuse(stream, 5)
        isFirst = false
      },
    })
    await expect(server.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.unreachable' })
    expect(await server.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
  })
})

describe('a server that stands still', () => {
  const hang: Handler = () => undefined
  test.each<[string, Record<string, Handler>]>([
    ['before it answers', { GetActionResult: hang }],
    ['when asked what it can', { GetCapabilities: hang, GetActionResult: (stream) => refuse(stream, 5) }],
    ['after it began', { GetActionResult: (stream) => begin(stream) }],
  ])('%s is not waited for', async (_, handlers) => {
    const { actions } = await faulty(handlers, HASTY)
    await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.timed-out' })
  })

  test('in the middle of a blob, or of an upload, is not waited for', async () => {
    const server = await faulty({ Read: streamOf([halves[0]], hang as () => void), Write: hang }, HASTY)
    expect(await read(server, large)).toMatchObject({ handedOut: 0, fault: { code: 'remote.timed-out' } })
    const huge = content(20_000_000, 3)
    await expect(server.blobs.write(scope, digestOf(huge), huge)).rejects.toMatchObject({ code: 'remote.timed-out' })
  })

  test('is left by whoever loses patience before, and hears of it', async () => {
    let left: Promise<unknown> | undefined
    const control = new AbortController()
    const server = await faulty({
      GetActionResult: (stream) => {
        left = once(stream, 'close')
        control.abort(new Error('enough'))
      },
    })
    await expect(server.actions.get(scope, action('a'), control.signal)).rejects.toThrow('enough')
    await left
  })

  test('for a connection is not waited for', async () => {
    const hole = used.use(await faultyPort(() => undefined))
    const { actions } = await opened(`grpc://${hole.address}`, { connectMs: 300, idleMs: 60_000 })
    await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.timed-out' })
  })
})

test('a server that has no room says so of what it is to keep, small, large or a result', async () => {
  const full: Handler = (stream) => refuse(stream, 8, 'the disk is full')
  const handlers = { BatchUpdateBlobs: full, Write: full, UpdateActionResult: full }
  const { actions, blobs } = await faulty({ ...handlers, GetActionResult: (stream) => refuse(stream, 5) })
  const [one, many] = [content(100, 1), content(5_000_000, 2)]
  for (const keep of [
    () => blobs.write(scope, digestOf(one), one),
    () => blobs.write(scope, digestOf(many), many),
    () => actions.put(scope, action('a'), result([])),
  ])
    await expect(keep()).rejects.toMatchObject({
      code: 'store.full',
      message: expect.stringMatching(/^grpc:.* has no room for more: the disk is full/),
      context: { server: expect.stringContaining('grpc://') },
    })
  // Of what is asked for it means something else.
  const busy = await faulty({ GetActionResult: full })
  await expect(busy.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.failed' })
})

describe('what is no cache of that protocol', () => {
  const page: Handler = (stream) => asHttp(stream, 200, { 'content-type': 'text/html' }, '<html>Sign in</html>')
  test.each<[string, Record<string, Handler>, string]>([
    ['a web page', { GetActionResult: page }, 'remote.incompatible'],
    ['a redirect', { GetActionResult: (stream) => asHttp(stream, 302, { location: '/' }) }, 'remote.incompatible'],
    ['a proxy without a server', { GetActionResult: (stream) => asHttp(stream, 502, {}) }, 'remote.incompatible'],
    [
      'an answer that cannot be read',
      { GetActionResult: (stream) => answer(stream, Buffer.from([10, 200])) },
      'remote.incompatible',
    ],
    [
      'an answer without a message',
      {
        GetActionResult: (stream) => {
          begin(stream)
          stream.end()
        },
      },
      'remote.incompatible',
    ],
    [
      'no such service',
      { GetCapabilities: (stream) => refuse(stream, 12), GetActionResult: (stream) => refuse(stream, 12) },
      'remote.incompatible',
    ],
    ['no token', { GetActionResult: (stream) => refuse(stream, 16, 'who?') }, 'remote.denied'],
    ['not now', { GetActionResult: (stream) => refuse(stream, 14) }, 'remote.unreachable'],
    ['too slow by its own clock', { GetActionResult: (stream) => refuse(stream, 4) }, 'remote.timed-out'],
    ['a fault of its own', { GetActionResult: (stream) => refuse(stream, 13) }, 'remote.failed'],
    [
      'no cache',
      {
        GetCapabilities: capabilitiesAs((all) => ({ ...all, cacheCapabilities: undefined })),
        GetActionResult: (stream) => refuse(stream, 5),
      },
      'remote.incompatible',
    ],
    [
      'no SHA-256',
      {
        GetCapabilities: capabilitiesAs((all) => ({
          ...all,
          cacheCapabilities: all.cacheCapabilities && { ...all.cacheCapabilities, digestFunctions: [9] },
        })),
        GetActionResult: (stream) => refuse(stream, 5),
      },
      'remote.incompatible',
    ],
  ])('is told so: %s', async (_, handlers, code) => {
    const { actions } = await faulty(handlers)
    const asked = actions.get(scope, action('a'))
    await expect(asked).rejects.toMatchObject({ code, message: expect.stringContaining('grpc://127.0.0.1:') })
  })

  test('HTTP/1, nothing at all, and what hangs up', async () => {
    const http = used.use(await faultyHttp((_, response) => response.end('hello')))
    const hangingUp = used.use(await faultyPort((socket) => socket.end()))
    const gone = await faultyPort(() => undefined)
    await gone[Symbol.asyncDispose]()
    for (const [address, code] of [
      [http.address.replace('http:', 'grpc:'), 'remote.incompatible'],
      [`grpc://${hangingUp.address}`, 'remote.incompatible'],
      [`grpc://${gone.address}`, 'remote.unreachable'],
      ['unix:/nowhere/at/all', 'remote.unreachable'],
    ] as const) {
      const { actions } = await opened(address)
      await expect(actions.get(scope, action('a')), address).rejects.toMatchObject({ code, hint: expect.any(String) })
    }
  })

  test('TLS where none is, none where TLS is, and a certificate of nobody known', async () => {
    const { openTlsKeys } = await import('../../../server/listen/tls-keys.ts')
    const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs')
    const { tmpdir } = await import('node:os')
    const dir = mkdtempSync(`${tmpdir()}/recue-remote-`)
    used.defer(() => rmSync(dir, { recursive: true, force: true }))
    const authority = certificateFor('the authority')
    const ours = certificateFor('ours', { signedBy: authority })
    const files = { cert: `${dir}/cert`, key: `${dir}/key` }
    writeFileSync(files.cert, ours.cert)
    writeFileSync(files.key, ours.key)
    const tls = used.use(openTlsKeys(files, () => undefined))
    const secure = used.use(await temporaryServer({ tls }))
    const plain = used.use(await temporaryServer())
    const found = async (address: string, options: RemoteOptions = {}) =>
      (await opened(address, { ...PATIENT, ...options })).actions.get(scope, action('a'))
    expect(await found(secure.grpcUrl, { tls: { ca: authority.cert } })).toMatchObject({ kind: 'miss' })
    await expect(found(secure.grpcUrl)).rejects.toMatchObject({ code: 'remote.tls' })
    await expect(found(plain.grpcUrl.replace('grpc:', 'grpcs:'))).rejects.toMatchObject({ code: 'remote.incompatible' })
    await expect(found(secure.grpcUrl.replace('grpcs:', 'grpc:'))).rejects.toMatchObject({
      code: 'remote.incompatible',
    })
    expect(await found(secure.url, { tls: { ca: authority.cert } })).toMatchObject({ kind: 'miss' })
    await expect(found(secure.url)).rejects.toMatchObject({ code: 'remote.tls' })
    await expect(found(plain.url.replace('http:', 'https:'))).rejects.toMatchObject({ code: 'remote.incompatible' })
  })
})

test.each(['grpcUrl', 'url'] as const)('a token is shown, and what it may not do is said (%s)', async (which) => {
  const server = used.use(
    await temporaryServer({
      gate: gateOf('read may-read-it-all-long-token\nwrite may-write-it-all-long-token\n', 'tokens'),
    }),
  )
  const as = (token: string) => opened(server[which], { ...PATIENT, token })
  const digest = digestOf(small)
  await (await as('may-write-it-all-long-token')).blobs.write(scope, digest, small)
  expect((await read(await as('may-read-it-all-long-token'), small)).handedOut).toBe(5_000)
  const other = content(100, 9)
  for (const token of ['may-read-it-all-long-token', 'nobody'])
    await expect((await as(token)).blobs.write(scope, digestOf(other), other)).rejects.toMatchObject({
      code: 'remote.denied',
    })
  await expect((await as('nobody')).actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.denied' })
})
