import { randomBytes } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import { zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../../digest/digest.ts'
import { digestOf, sha256Hex } from '../../../digest/sha256.ts'
import type { CacheError } from '../../../errors.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action, result } from '../../action-store.contract.ts'
import { content } from '../../content.fixture.ts'
import { type Bytes, DEFAULT_SCOPE as scope } from '../../contracts.ts'
import { memoryStore } from '../../memory/memory-store.ts'
import { readWhole } from '../../read-whole.ts'
import { faultyHttp, HASTY, PATIENT } from '../fault-servers.fixture.ts'
import { openRemote, type RemoteOptions } from '../open-remote.ts'
import { actionObject } from './action-object.ts'

let used: AsyncDisposableStack
beforeEach(() => {
  used = new AsyncDisposableStack()
})
afterEach(() => used.disposeAsync())

const credentials = { accessKeyId: 'AKIDOURS', secretAccessKey: 'the-secret', sessionToken: 'the-session' }

async function bucket(listener: RequestListener, options: RemoteOptions = PATIENT) {
  const server = used.use(await faultyHttp(listener))
  const end = used.use(await openRemote(`s3://cache?endpoint=${server.address}`, { ...options, s3: { credentials } }))
  return { ...end, asked: server.asked }
}

const refusal = (code: string, more = '') => `<Error><Code>${code}</Code>${more}</Error>`

function refuse(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(text)
}

const [small, large] = [content(5_000, 1), content(3_000_000, 2)]

describe.each([small, large].map((bytes) => [bytes.length, bytes] as const))('of a blob of %i bytes', (_, bytes) => {
  const flipped = Buffer.from(bytes)
  flipped[bytes.length - 1] = (flipped[bytes.length - 1] as number) ^ 1
  const read = async (listener: RequestListener, options?: RemoteOptions) => {
    const { blobs } = await bucket(listener, options)
    let handedOut = 0
    try {
      for await (const piece of (await blobs.read(scope, digestOf(bytes))) ?? []) handedOut += piece.length
    } catch (error) {
      return { handedOut, code: (error as CacheError).code }
    }
    return { handedOut }
  }

  test.each<[string, Buffer]>([
    ['another', flipped],
    ['shorter', bytes.subarray(1)],
    ['longer', Buffer.concat([bytes, bytes])],
    ['empty', Buffer.alloc(0)],
  ])('that is %s nothing is handed out', async (_, other) => {
    expect(await read((_, response) => response.end(other))).toEqual({ handedOut: 0, code: 'store.corrupt' })
  })

  test('that breaks off, or stops, nothing is handed out', async () => {
    const begun = (then: (response: ServerResponse) => void): RequestListener => {
      return (_, response) => {
        response.writeHead(200, { 'content-length': bytes.length })
        response.write(bytes.subarray(0, 1000), () => then(response))
      }
    }
    const breaking = begun((response) => response.destroy())
    expect(await read(breaking)).toEqual({ handedOut: 0, code: 'remote.unreachable' })
    expect(
      await read(
        begun(() => undefined),
        HASTY,
      ),
    ).toEqual({ handedOut: 0, code: 'remote.timed-out' })
  })
})

test.each<[number, string, string, RegExp]>([
  [404, refusal('NoSuchBucket'), 'remote.incompatible', /no such bucket/],
  [403, refusal('AccessDenied'), 'remote.denied', /AccessDenied/],
  [403, '', 'remote.denied', /HTTP 403/],
  [403, refusal('InvalidAccessKeyId', '<AWSAccessKeyId>AKIDOURS</AWSAccessKeyId>'), 'remote.denied', /access key/],
  [
    403,
    refusal('SignatureDoesNotMatch', '<StringToSign>the-session</StringToSign>'),
    'remote.denied',
    /secret does not/,
  ],
  [403, refusal('RequestTimeTooSkewed'), 'remote.denied', /clock/],
  [400, refusal('ExpiredToken', '<Token-0>the-session</Token-0>'), 'remote.denied', /expired/],
  [503, refusal('SlowDown'), 'remote.unreachable', /SlowDown .*busy/],
  [500, refusal('InternalError'), 'remote.unreachable', /InternalError/],
  [502, '', 'remote.unreachable', /HTTP 502/],
  [429, 'later', 'remote.unreachable', /HTTP 429/],
  [507, '', 'store.full', /HTTP 507: it has no room/],
  [507, refusal('XMinioStorageFull'), 'store.full', /no room/],
  [400, refusal('XMinioAdminBucketQuotaExceeded'), 'store.full', /no room/],
  [403, refusal('QuotaExceeded'), 'store.full', /no room/],
  [
    400,
    refusal('AuthorizationHeaderMalformed', '<Region>eu-west-1</Region>'),
    'remote.incompatible',
    /region eu-west-1, not in us-east-1/,
  ],
  [307, refusal('TemporaryRedirect', '<Endpoint>other.example</Endpoint>'), 'remote.incompatible', /sends on/],
  [400, refusal('SomethingNew'), 'remote.failed', /SomethingNew/],
  [405, '', 'remote.incompatible', /HTTP 405/],
  [200, '<html>', 'remote.incompatible', /web page/],
  [404, '<html>', 'remote.incompatible', /web page/],
])('HTTP %i with %s is told as what it is, with the place and no secret', async (status, text, code, message) => {
  const { actions, blobs } = await bucket((request, response) => {
    request.resume()
    const headers: Record<string, string> = text === '<html>' ? { 'content-type': 'text/html' } : {}
    refuse(response, status, request.method === 'HEAD' ? '' : text, headers)
  })
  for (const asking of [
    () => actions.get(scope, action('a')),
    () => readWhole(blobs, scope, digestOf(small)),
    () => blobs.write(scope, digestOf(small), small),
    ...(status === 404 || status === 200 || status >= 500 ? [] : [() => blobs.missing(scope, [digestOf(small)])]),
  ]) {
    const told = await asking().then(
      () => undefined,
      (error: CacheError) => error,
    )
    expect(told).toMatchObject({ code, message: expect.stringMatching(message) })
    expect(told?.message).toContain('s3://cache at http://127.0.0.1:')
    expect(`${told?.message} ${told?.hint} ${JSON.stringify(told?.context)}`).not.toMatch(/AKID|the-secret|the-session/)
  }
})

test('a fault that tells the region which was asked is about something else', async () => {
  const { actions } = await bucket((_, response) =>
    refuse(response, 400, refusal('SomethingNew'), { 'x-amz-bucket-region': 'us-east-1' }),
  )
  await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.failed' })
})

test('an upload to what knows no such path is not taken for kept', async () => {
  const { blobs } = await bucket((request, response) => {
    request.resume()
    response.writeHead(404).end()
  })
  const fault = { code: 'remote.incompatible' }
  await expect(blobs.write(scope, digestOf(small), small)).rejects.toMatchObject(fault)
})

/** A store that takes only what its own lender gave last, and says so in these words. */
async function lendingBucket(refused: string, status = 400) {
  let lentTimes = 0
  const ids: string[] = []
  const server = used.use(
    await faultyHttp((request, response) => {
      if (request.url === '/lent') {
        response.end(JSON.stringify({ AccessKeyId: `number${++lentTimes}`, SecretAccessKey: 'x' }))
        return
      }
      request.resume()
      const id = /Credential=(\w+)/.exec(request.headers.authorization ?? '')?.[1] ?? ''
      ids.push(`${request.method} ${id}`)
      if (id === 'number1') refuse(response, status, request.method === 'HEAD' ? '' : refusal(refused))
      else if (request.method === 'PUT') response.end()
      else response.writeHead(404).end()
    }),
  )
  const environment = { HOME: '/nowhere', AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.address}/lent` }
  const end = used.use(await openRemote(`s3://cache?endpoint=${server.address}`, { s3: { environment } }))
  return { ...end, ids, lentTimes: () => lentTimes }
}

test('what was refused since its credentials had ended is asked again with others, which are got once', async () => {
  const { actions, blobs, ids, lentTimes } = await lendingBucket('ExpiredToken')
  const digest = digestOf(small)
  const [found, missing] = await Promise.all([
    actions.get(scope, action('a')),
    blobs.missing(scope, [digest]),
    blobs.write(scope, digest, small),
  ])
  expect([found, missing]).toMatchObject([{ kind: 'miss' }, [digest]])
  expect(lentTimes()).toBe(2)
  const [number1, number2] = [1, 2].map((n) => ids.filter((id) => id.endsWith(`number${n}`)).sort())
  // Why a HEAD was refused is asked by GET.
  expect(number1).toEqual(['GET number1', 'GET number1', 'HEAD number1', 'PUT number1'])
  expect(number2).toEqual(['GET number2', 'HEAD number2', 'PUT number2'])
})

test('what is denied for another reason is not asked again, and credentials are looked for anew by the next', async () => {
  const { actions, ids } = await lendingBucket('AccessDenied', 403)
  await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.denied' })
  expect(await actions.get(scope, action('a'))).toMatchObject({ kind: 'miss' })
  expect(ids).toEqual(['GET number1', 'GET number2'])
})

test('credentials that do not change are refused once', async () => {
  const { actions, asked } = await bucket((_, response) => refuse(response, 400, refusal('ExpiredToken')))
  await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.denied' })
  expect(asked).toHaveLength(1)
})

test('requests are not signed where headers say who asks', async () => {
  const seen: unknown[] = []
  const server = used.use(
    await faultyHttp((request, response) => {
      seen.push([request.headers.authorization, request.headers['x-amz-date']])
      response.writeHead(404).end()
    }),
  )
  const address = `s3://cache?endpoint=${server.address}`
  const environment = { AWS_ACCESS_KEY_ID: 'AKIDOURS', AWS_SECRET_ACCESS_KEY: 'x' }
  for (const shown of [
    { headers: { authorization: 'Bearer 1' } },
    { freshHeaders: async () => ({ authorization: 'Bearer 2' }) },
    { s3: { credentials: 'none' as const } },
  ]) {
    const { actions } = used.use(await openRemote(address, { s3: { environment }, ...shown }))
    expect(await actions.get(scope, action('a'))).toMatchObject({ kind: 'miss' })
  }
  expect(seen).toEqual([
    ['Bearer 1', undefined],
    ['Bearer 2', undefined],
    [undefined, undefined],
  ])
})

test('a bucket in another region is told of with its region, and nobody is followed', async () => {
  const { actions, blobs, asked } = await bucket((_, response) =>
    refuse(response, 301, refusal('PermanentRedirect'), {
      'x-amz-bucket-region': 'ap-south-1',
      location: 'http://x.invalid',
    }),
  )
  const told = { code: 'remote.incompatible', hint: expect.stringContaining('region=ap-south-1') }
  await expect(actions.get(scope, action('a'))).rejects.toMatchObject(told)
  await expect(blobs.missing(scope, [digestOf(small)])).rejects.toMatchObject(told)
  expect(asked.map((line) => line.split(' ')[0])).toEqual(['GET', 'HEAD', 'GET'])
})

test('frames that go on for ever are not read for ever', async () => {
  const nothing = Buffer.alloc(64 << 10, Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]))
  const { blobs } = await bucket((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(nothing));
    }
    response.on('drain', more)
    more()
  })
  expect(await readWhole(blobs, scope, digestOf(small))).toBeUndefined()
  expect(await blobs.missing(scope, [digestOf(small)])).toEqual([digestOf(small)])
})

test('once a store refused one of many questions, the others are not asked', async () => {
  const { blobs, asked } = await bucket((_, response) => refuse(response, 500, ''))
  const digests = Array.from({ length: 500 }, (_, i) => digestOf(Buffer.from(`${i}`)))
  await expect(blobs.missing(scope, digests)).rejects.toMatchObject({ code: 'remote.unreachable' })
  await expect(blobs.missing(scope, digests.slice(0, 1))).rejects.toMatchObject({ code: 'remote.unreachable' })
  expect(asked.length).toBeLessThan(100)
})

test('a store that is busy is not asked again for its words', async () => {
  const { blobs, asked } = await bucket((_, response) => refuse(response, 503, ''))
  await expect(blobs.missing(scope, [digestOf(small)])).rejects.toMatchObject({ code: 'remote.unreachable' })
  expect(asked).toHaveLength(1)
})

test.each<[number, string, unknown]>([
  [503, refusal('SlowDown'), true],
  [503, '', true],
  [429, '', true],
  [502, '', undefined],
  [500, refusal('InternalError'), undefined],
])('whether it is asked too much is said with the fault: HTTP %i %s', async (status, text, isBusy) => {
  const { actions } = await bucket((_, response) => refuse(response, status, text))
  const told = await actions.get(scope, action('a')).catch((error) => error)
  expect([told.code, told.context.isBusy]).toEqual(['remote.unreachable', isBusy])
})

test('of many questions those that are too many are asked again, a few times, and the others are not', async () => {
  const times = new Map<string, number>()
  let isBusy = (time: number) => time < 3
  const { blobs } = await bucket((request, response) => {
    const time = (times.get(request.url ?? '') ?? 0) + 1
    times.set(request.url ?? '', time)
    const isTurnedAway = isBusy(time) && times.size % 3 === 0
    response.writeHead(isTurnedAway ? 503 : 404, { 'content-length': '0' }).end()
  })
  const digests = Array.from({ length: 30 }, (_, i) => digestOf(Buffer.from(`${i}`)))
  expect(await blobs.missing(scope, digests)).toEqual(digests)
  expect(times.size).toBe(30)
  expect(Math.max(...times.values())).toBeLessThanOrEqual(3)
  isBusy = () => true
  times.clear()
  const told = { code: 'remote.unreachable' }
  await expect(blobs.missing(scope, digests)).rejects.toMatchObject(told)
  expect(Math.max(...times.values())).toBe(5)
  await expect(blobs.missing(scope, digests, AbortSignal.timeout(20))).rejects.toThrow()
})

test('what a store refused leaves its connection to the next', async () => {
  const connections = new Set<unknown>()
  const { blobs } = await bucket((request, response) => {
    connections.add(request.socket)
    refuse(response, request.method === 'GET' ? 403 : 503, '', { 'content-length': '0' })
  })
  for (let i = 0; i < 5; i++) await expect(blobs.missing(scope, [digestOf(small)])).rejects.toThrow('503')
  for (let i = 0; i < 5; i++) await expect(readWhole(blobs, scope, digestOf(small))).rejects.toThrow('403')
  expect(connections.size).toBe(1)
})

test('what is there is not written over; a store that knows no conditions, or is writing it, is asked without', async () => {
  for (const [status, code, times] of [
    [412, 'PreconditionFailed', 1],
    [409, 'ConditionalRequestConflict', 2],
    [501, 'NotImplemented', 2],
  ] as const) {
    const conditions: unknown[] = []
    const { blobs } = await bucket((request, response) => {
      request.resume()
      conditions.push(request.headers['if-none-match'])
      if (request.headers['if-none-match'] === undefined) response.end()
      else refuse(response, status, refusal(code))
    })
    await blobs.write(scope, digestOf(small), small)
    expect(conditions).toEqual(['*', undefined].slice(0, times))
    await blobs.write(scope, digestOf(small), small)
    expect(conditions.slice(times)).toEqual(status === 501 ? [undefined] : ['*', undefined].slice(0, times))
  }
})

test('a blob that was found damaged is missing, and written over', async () => {
  let bytes = Buffer.from('other bytes')
  const conditions: unknown[] = []
  const { blobs } = await bucket(async (request, response) => {
    if (request.method !== 'PUT') return response.end(bytes)
    conditions.push(request.headers['if-none-match'])
    bytes = Buffer.concat(await request.toArray())
    return response.end()
  })
  const digest = digestOf(small)
  expect(await blobs.missing(scope, [digest])).toEqual([])
  expect(await readWhole(blobs, scope, digest)).toBeUndefined()
  expect(await blobs.missing(scope, [digest])).toEqual([digest])
  await blobs.write(scope, digest, small)
  expect(await blobs.missing(scope, [digest])).toEqual([])
  expect(await readWhole(blobs, scope, digest)).toEqual(small)
  await blobs.write(scope, digest, small)
  expect(conditions).toEqual([undefined, '*'])
})

test('requests are signed with what is in them, and show the session', async () => {
  const seen: string[] = []
  const { blobs } = await bucket(async (request, response) => {
    const { authorization, 'x-amz-content-sha256': hash, 'x-amz-security-token': session } = request.headers
    const body = Buffer.concat(await request.toArray())
    expect(hash).toBe(sha256Hex(body))
    expect(session).toBe('the-session')
    seen.push(String(authorization))
    response.end()
  })
  await blobs.write(scope, digestOf(small), small)
  const signed = 'content-type;host;if-none-match;x-amz-content-sha256;x-amz-date;x-amz-security-token'
  expect(seen).toEqual([
    expect.stringMatching(
      `^AWS4-HMAC-SHA256 Credential=AKIDOURS/\\d{8}/us-east-1/s3/aws4_request,SignedHeaders=${signed},Signature=[0-9a-f]{64}$`,
    ),
  ])
})

describe('in parts', () => {
  const huge = randomBytes(2 * (8 << 20) + 1000)
  const blob = digestOf(huge)
  /** A store that takes parts, unless told otherwise. */
  const partly = async (odd: RequestListener) => {
    const parts: Buffer[] = []
    const end = await bucket(async (request, response) => {
      const { searchParams: asked } = new URL(request.url ?? '', 'http://x')
      const body = Buffer.concat(await request.toArray().catch(() => []))
      if (asked.has('uploads')) response.end('<R><UploadId>an&amp;id</UploadId></R>')
      else if (request.method === 'DELETE') response.writeHead(204).end()
      else {
        expect(asked.get('uploadId')).toBe('an&id')
        const part = Number(asked.get('partNumber'))
        if (part > 0) parts[part - 1] = body
        odd(Object.assign(request, { sent: body }), response.setHeader('etag', `"of part ${part}"`))
      }
    })
    const write = async () => {
      try {
        await end.blobs.write(scope, blob, huge)
        return 'kept'
      } catch (error) {
        return (error as CacheError).code
      } finally {
        await end[Symbol.asyncDispose]()
      }
    }
    const aborted = () => end.asked.filter((line) => line.startsWith('DELETE')).length
    return { write, aborted, parts }
  }

  test('a large blob is sent, and put together in their order', async () => {
    let completed = ''
    const { write, aborted, parts } = await partly((request, response) => {
      if (request.method === 'POST') completed = String((request as { sent?: Buffer }).sent)
      response.end('<CompleteMultipartUploadResult/>')
    })
    expect(await write()).toBe('kept')
    expect(aborted()).toBe(0)
    expect(parts.map(({ length }) => length)).toEqual([8 << 20, 8 << 20, 1000])
    expect(Buffer.concat(parts).equals(huge)).toBe(true)
    const numbers = [...completed.matchAll(/<PartNumber>(\d)<\/PartNumber><ETag>&quot;of part (\d)&quot;/g)]
    expect(numbers.map(([, number, etag]) => [number, etag])).toEqual([
      ['1', '1'],
      ['2', '2'],
      ['3', '3'],
    ])
  })

  test('a part that was too much for the store is sent again, and no other is', async () => {
    let times = 0
    const { write, aborted, parts } = await partly((request, response) => {
      const isFirst = request.url?.includes('partNumber=2') === true && ++times === 1
      if (isFirst) refuse(response, 503, refusal('SlowDown'))
      else response.end('<CompleteMultipartUploadResult/>')
    })
    expect([await write(), times, aborted()]).toEqual(['kept', 2, 0])
    expect(Buffer.concat(parts).equals(huge)).toBe(true)
  })

  test.each<[string, RequestListener, string]>([
    [
      'a part is refused',
      (r, response) =>
        r.url?.includes('partNumber=2') ? refuse(response, 500, refusal('InternalError')) : response.end(),
      'remote.unreachable',
    ],
    [
      'the last part is refused',
      (r, response) =>
        r.url?.includes('partNumber=3') ? refuse(response, 404, refusal('NoSuchUpload')) : response.end(),
      'remote.failed',
    ],
    [
      'a connection breaks',
      (r, response) => (r.url?.includes('partNumber=1') ? response.destroy() : response.end()),
      'remote.unreachable',
    ],
    [
      'the end is refused',
      (r, response) => (r.method === 'POST' ? refuse(response, 403, refusal('AccessDenied')) : response.end()),
      'remote.denied',
    ],
    [
      'the end fails, said with HTTP 200',
      (r, response) => response.end(r.method === 'POST' ? refusal('InternalError') : ''),
      'remote.unreachable',
    ],
    [
      'it is there already',
      (r, response) => (r.method === 'POST' ? refuse(response, 412, refusal('PreconditionFailed')) : response.end()),
      'kept',
    ],
  ])('nothing is left there when %s', async (_, odd, outcome) => {
    const { write, aborted } = await partly(odd)
    expect(await write()).toBe(outcome)
    expect(aborted()).toBe(1)
  })

  test('nothing is sent where the store gives the upload no name', async () => {
    const { blobs, asked } = await bucket((_, response) => response.end('<R></R>'))
    await expect(blobs.write(scope, blob, huge)).rejects.toMatchObject({ code: 'remote.incompatible' })
    expect(asked.map((line) => line.split(' ')[0])).toEqual(['POST'])
  })

  test('no more is taken than a few parts before they are there, and nothing more once one was refused', async () => {
    const [total, control] = [25, new AbortController()]
    const piece = randomBytes(4 << 20)
    for (const isRefusing of [false, true]) {
      let [taken, arrived] = [0, 0]
      const { blobs, ...end } = await bucket(async (request, response) => {
        if (request.method !== 'PUT') response.end('<R><UploadId>id</UploadId></R>')
        else if (isRefusing) refuse(response, 403, refusal('AccessDenied'))
        else if ((await request.toArray().catch(() => [])).length > 0 && ++arrived === 4)
          control.abort(new Error('enough'))
      })
      async function* source() {
        for (; taken < total; taken++) yield piece
      }
      const digest = { hash: '0'.repeat(64), sizeBytes: total * piece.length }
      const told = isRefusing ? { code: 'remote.denied' } : { message: 'enough' }
      const signal = isRefusing ? undefined : control.signal
      await expect(blobs.write(scope, digest, source(), signal)).rejects.toMatchObject(told)
      expect(taken).toBeLessThan(total - 8)
      await end[Symbol.asyncDispose]()
    }
  })

  test('nothing is left there when the source fails, or the caller leaves', async () => {
    const control = new AbortController()
    const { asked, blobs, ...end } = await bucket((request, response) => {
      request.resume()
      if (request.url?.includes('uploads')) response.end('<R><UploadId>id</UploadId></R>')
      else if (request.method === 'DELETE') response.writeHead(204).end()
      else control.abort(new Error('enough'))
    })
    async function* failing() {
      yield huge.subarray(0, 12 << 20)
      throw new Error('source failed')
    }
    await expect(blobs.write(scope, blob, failing())).rejects.toThrow('source failed')
    await expect(blobs.write(scope, blob, huge, control.signal)).rejects.toThrow('enough')
    await end[Symbol.asyncDispose]()
    expect(asked.filter((line) => line.startsWith('DELETE'))).toHaveLength(2)
  })
})

test('an action result that is too long, or none, is told and not there', async () => {
  const { actions } = await bucket((request, response) => {
    if (request.url?.includes(action('long').hash)) response.end(Buffer.alloc(9 << 20))
    else response.end('recueAR1 and no more')
  })
  for (const name of ['long', 'none'])
    expect(await actions.get(scope, action(name))).toEqual({ kind: 'miss', why: 'corrupt' })
})

describe('what an action result names', () => {
  const smalls = Array.from({ length: 100 }, (_, i) => Buffer.from(`small ${i}`))
  const large = content(100_000, 1)
  const blobs = new Map([...smalls, large].map((bytes) => [digestOf(bytes).hash, bytes]))
  const files = [...smalls, large].map(digestOf)
  const object = actionObject(scope, action('a'), ActionResult.encode(result(files)).finish())
  /** Answers late, so that what is asked at once is seen. */
  const served = async (without?: string) => {
    let [now, most] = [0, 0]
    const end = await bucket((request, response) => {
      most = Math.max(most, ++now)
      const hash = /([0-9a-f]{64})(-\d+)?$/.exec(request.url ?? '')?.[1] ?? ''
      const bytes = request.url?.includes('/ac/_/') ? object : hash === without ? undefined : blobs.get(hash)
      setImmediate(() => {
        now--
        if (bytes === undefined) response.writeHead(404).end()
        else response.setHeader('content-length', bytes.length).end(request.method === 'HEAD' ? undefined : bytes)
      })
    })
    return { ...end, most: () => most }
  }

  test('comes along where it is small, some at a time, and is not asked for again by who reads it', async () => {
    const { actions, blobs, asked, most, fetches } = await served()
    expect(await actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
    expect(asked.filter((line) => line.startsWith('GET'))).toHaveLength(101)
    expect(asked.filter((line) => line.startsWith('HEAD'))).toEqual([expect.stringContaining(digestOf(large).hash)])
    expect(most()).toBeLessThanOrEqual(32)
    const before = asked.length
    for await (const { bytes, index } of blobs.readBatch(scope, smalls.map(digestOf)))
      expect(Buffer.from(bytes ?? [])).toEqual(smalls[index])
    const [small] = smalls as [Buffer]
    const near = memoryStore()
    expect(await fetches?.fetchInto(scope, digestOf(small), near)).toBe(true)
    expect(await near.blobs.missing(scope, [digestOf(small)])).toEqual([])
    expect(asked).toHaveLength(before)
    expect(await readWhole(blobs, scope, digestOf(large))).toEqual(large)
    expect(asked).toHaveLength(before + 1)
  })

  test('is asked for again with the result, whatever was there before', async () => {
    const { actions, asked } = await served()
    for (let i = 0; i < 2; i++) expect(await actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
    expect(asked).toHaveLength(204)
  })

  test.each([smalls[7] as Buffer, large])('makes it incomplete where it is not there', async (gone) => {
    const { actions } = await served(digestOf(gone).hash)
    expect(await actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'incomplete' })
  })

  test('may lie in another store', async () => {
    const { actionsOver, asked } = await served()
    const other = memoryStore()
    const actions = actionsOver?.(other.blobs)
    expect(await actions?.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'incomplete' })
    for (const bytes of [...smalls, large]) await other.blobs.write(scope, digestOf(bytes), bytes)
    expect(await actions?.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
    expect(asked).toHaveLength(2)
  })
})

test('blobs go straight into a store on this machine: as frames where both have them, checked, and none that is damaged', async () => {
  const bytes = content(3_000_000, 1)
  const digest = digestOf(bytes)
  const object = zstdCompressSync(bytes)
  const { fetches, blobs, receivedBytes } = await bucket((_, response) => response.end(object))
  const kept: Uint8Array[] = []
  const frames = {
    async writeFrame(_: unknown, of: Digest, given: Bytes) {
      expect(of).toEqual(digest)
      for await (const piece of given as AsyncIterable<Uint8Array>) kept.push(piece)
    },
    readFrame: async () => undefined,
  }
  const near = memoryStore()
  expect(await fetches?.fetchInto(scope, digest, { blobs: near.blobs, frames })).toBe(true)
  expect(Buffer.concat(kept).equals(object)).toBe(true)
  expect(receivedBytes?.()).toBe(object.length)
  expect(await near.blobs.missing(scope, [digest])).toHaveLength(1)
  expect(await fetches?.fetchInto(scope, digest, near)).toBe(true)
  expect(await near.blobs.missing(scope, [digest])).toEqual([])
  const another = digestOf(content(3_000_000, 2))
  await expect(fetches?.fetchInto(scope, another, near)).rejects.toMatchObject({ code: 'store.corrupt' })
  expect(await blobs.missing(scope, [another, digest])).toEqual([another])
})
