import type { RequestListener } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../../digest/sha256.ts'
import type { CacheError } from '../../../errors.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, result } from '../../action-store.contract.ts'
import { content } from '../../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../contracts.ts'
import { faultyHttp, faultyPort, HASTY, PATIENT } from '../fault-servers.fixture.ts'
import { openRemote, type RemoteOptions } from '../open-remote.ts'
import type { RemoteEnd } from '../remote-end.ts'

let used: AsyncDisposableStack
beforeEach(() => {
  used = new AsyncDisposableStack()
})
afterEach(() => used.disposeAsync())

async function faulty(listener: RequestListener, options: RemoteOptions = PATIENT) {
  const server = used.use(await faultyHttp(listener))
  return { ...used.use(await openRemote(server.address, options)), asked: server.asked }
}

async function read(
  { blobs }: RemoteEnd,
  bytes: Buffer,
): Promise<{ handedOut: number; fault: CacheError | undefined }> {
  let handedOut = 0
  try {
    await using found = await blobs.read(scope, digestOf(bytes))
    if (found === undefined) return { handedOut: -1, fault: undefined }
    for await (const piece of found) handedOut += piece.length
    return { handedOut, fault: undefined }
  } catch (error) {
    return { handedOut, fault: error as CacheError }
  }
}

const blobs = [content(5_000, 1), content(3_000_000, 2)] as const

describe.each(blobs.map((bytes) => [bytes.length, bytes] as const))('of a blob of %i bytes', (_, bytes) => {
  const flipped = Buffer.from(bytes)
  flipped[bytes.length - 1] = (flipped[bytes.length - 1] as number) ^ 1
  test('that is another nothing is handed out', async () => {
    const lying = await faulty((_, response) => response.end(flipped))
    expect(await read(lying, bytes)).toMatchObject({ handedOut: 0, fault: { code: 'store.corrupt' } })
  })

  test.each([
    ['shorter', bytes.subarray(1)],
    ['longer', Buffer.concat([bytes, bytes])],
  ])('that is %s nothing is handed out, and it is a miss where its length is said', async (_, other) => {
    const saying = await faulty((_, response) => response.end(other))
    expect(await read(saying, bytes)).toEqual({ handedOut: -1, fault: undefined })
    const silent = await faulty((_, response) => {
      response.flushHeaders()
      response.end(other)
    })
    expect(await read(silent, bytes)).toMatchObject({ handedOut: 0, fault: { code: 'store.corrupt' } })
  })

  test('that goes on for ever no more is read than it has', async () => {
    let said = 0
    const endless = await faulty((_, response) => {
      const more = () => {
        while (!response.destroyed) {
          said += bytes.length
          if (!response.write(bytes)) return
        }
      }
      response.on('drain', more)
      more()
    })
    expect(await read(endless, bytes)).toMatchObject({ handedOut: 0, fault: { code: 'store.corrupt' } })
    expect(said).toBeLessThan(40 << 20)
  })

  test('that breaks off nothing is handed out', async () => {
    const breaking = await faulty((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 1000), () => response.destroy())
    })
    expect(await read(breaking, bytes)).toMatchObject({ handedOut: 0, fault: { code: 'remote.unreachable' } })
  })

  test('that stops nothing is waited for', async () => {
    const stopping = await faulty((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 1000))
    }, HASTY)
    expect(await read(stopping, bytes)).toMatchObject({ handedOut: 0, fault: { code: 'remote.timed-out' } })
  })
})

test.each<[string, RequestListener, string]>([
  ['a web page', (_, r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), 'remote.incompatible'],
  ['garbage', (_, r) => r.end(Buffer.from([10, 200])), 'remote.incompatible'],
  ['401', (_, r) => r.writeHead(401).end(), 'remote.denied'],
  ['403', (_, r) => r.writeHead(403).end(), 'remote.denied'],
  ['405', (_, r) => r.writeHead(405).end(), 'remote.incompatible'],
  ['500', (_, r) => r.writeHead(500).end(), 'remote.failed'],
  ['502', (_, r) => r.writeHead(502).end(), 'remote.unreachable'],
  ['503', (_, r) => r.writeHead(503).end(), 'remote.unreachable'],
  ['507', (_, r) => r.writeHead(507).end(), 'store.full'],
])('an answer that is of no use is told as what it is: %s', async (_, listener, code) => {
  const server = await faulty(listener)
  const told = { code, message: expect.stringContaining('http://127.0.0.1:') }
  await expect(server.actions.get(scope, action('a'))).rejects.toMatchObject(told)
})

test('a redirect is not followed, and nobody else is shown the token', async () => {
  const server = await faulty((_, response) => response.writeHead(302, { location: '/again' }).end(), {
    ...PATIENT,
    token: 'secret',
  })
  await expect(server.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.incompatible' })
  expect(server.asked).toHaveLength(1)
})

test('a server that refuses an upload before it has it is heard', async () => {
  const server = await faulty((_, response) => response.writeHead(403).end())
  const [, large] = blobs
  await expect(server.blobs.write(scope, digestOf(large), large)).rejects.toMatchObject({
    code: expect.stringMatching(/^remote\.(denied|unreachable)$/),
  })
})

test('a server that stands still is not waited for: before an answer, in an upload, for a connection', async () => {
  const still = await faulty(() => undefined, HASTY)
  await expect(still.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.timed-out' })
  const huge = content(20_000_000, 1)
  await expect(still.blobs.write(scope, digestOf(huge), huge)).rejects.toMatchObject({ code: 'remote.timed-out' })
  const hole = used.use(await faultyPort(() => undefined))
  const secure = used.use(await openRemote(`https://${hole.address}`, HASTY))
  await expect(secure.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.timed-out' })
})

test('whoever loses patience leaves', async () => {
  const control = new AbortController()
  const server = await faulty(() => control.abort(new Error('enough')))
  await expect(server.actions.get(scope, action('a'), control.signal)).rejects.toThrow('enough')
})

test('gRPC, and what hangs up, are no such server', async () => {
  const hangingUp = used.use(await faultyPort((socket) => socket.end()))
  const other = used.use(await faultyPort((socket) => socket.end('\0\0\x12\x04 no HTTP/1')))
  for (const [{ address }, code] of [
    [hangingUp, 'remote.unreachable'],
    [other, 'remote.incompatible'],
  ] as const) {
    const { actions } = used.use(await openRemote(`http://${address}`, PATIENT))
    await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ code })
  }
})

test('a path stands before all others, and an instance behind it; connections are used again', async () => {
  const ports = new Set<number | undefined>()
  const server = used.use(
    await faultyHttp((request, response) => {
      ports.add(request.socket.remotePort)
      response.end(ActionResult.encode({ ...result([]), exitCode: 3 }).finish())
    }),
  )
  const { actions } = used.use(await openRemote(`${server.address}/team/cache/`, PATIENT))
  for (let i = 0; i < 3; i++)
    expect(await actions.get({ instance: 'red' }, action('a'))).toMatchObject({ kind: 'hit', result: { exitCode: 3 } })
  expect(new Set(server.asked)).toEqual(new Set([`GET /team/cache/red/ac/${action('a').hash}`]))
  expect(ports.size).toBe(1)
})

test('a connection is used again after all that answers briefly, and not after what was left in the middle', async () => {
  const ports = new Set<number | undefined>()
  const [small, large] = blobs
  const server = await faulty((request, response) => {
    ports.add(request.socket.remotePort)
    if (request.method === 'PUT') request.resume().once('end', () => response.end('thank you'))
    else if (request.method === 'HEAD') response.writeHead(200, { 'content-length': small.length }).end()
    else if (request.url?.endsWith(digestOf(large).hash)) response.end(large)
    else response.writeHead(404).end('it is not here')
  })
  for (let i = 0; i < 3; i++) {
    await server.blobs.write(scope, digestOf(small), small)
    expect(await server.blobs.missing(scope, [digestOf(small)])).toEqual([])
    expect(await server.blobs.read(scope, digestOf(small))).toBeUndefined()
  }
  expect(ports.size).toBe(1)
  {
    await using left = await server.blobs.read(scope, digestOf(large))
    expect(left).toBeDefined()
  }
  await server.blobs.missing(scope, [digestOf(small)])
  expect(ports.size).toBe(2)
})
