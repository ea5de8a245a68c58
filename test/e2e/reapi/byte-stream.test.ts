import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  absent,
  type Digest,
  digestOf,
  EMPTY,
  fresh,
  readName,
  unzstd,
  writeName,
  writeRequests,
  zstd,
} from './blobs.ts'
import type { Answer } from './client.ts'
import { conformance } from './peer.ts'

const HEX = 'a'.repeat(64)
const dataOf = ({ answers }: Answer) => Buffer.concat((answers as { data: Buffer }[]).map(({ data }) => data))

conformance('ByteStream.Read', (peer) => {
  const read = (resourceName: string, more: object = {}) => peer.call('ByteStream/Read', { resourceName, ...more })

  const sizes = [1, 4_000, 70_000, 1 << 20, 5_000_000]
  test.each(sizes)('gives a blob of %i bytes, in messages that a client takes', async (sizeBytes) => {
    const blob = fresh(sizeBytes)
    const answer = await read(readName(await peer.keep(blob)))
    expect([answer.code, dataOf(answer).equals(blob)]).toEqual(['OK', true])
    expect(answer.answers.every(({ data }) => data.length <= 2 << 20)).toBe(true)
  })

  test.each(sizes)('gives a blob of %i bytes as zstd', async (sizeBytes) => {
    const blob = fresh(sizeBytes)
    const answer = await read(readName(await peer.keep(blob), { compressor: 'zstd' }))
    expect([answer.code, unzstd(dataOf(answer)).equals(blob)]).toEqual(['OK', true])
  })

  test.each<[string, number, number, number]>([
    ['from the middle', 1_500_000, 0, 500_000],
    ['no more than asked for', 0, 10, 10],
    ['a part', 1_000, 1_200_000, 1_200_000],
    ['what is left where more was asked for', 1_999_999, 50, 1],
    ['nothing at its end', 2_000_000, 0, 0],
  ])('gives %s', async (_, readOffset, readLimit, sizeBytes) => {
    const blob = fresh(2_000_000)
    const answer = await read(readName(await peer.keep(blob)), { readOffset, readLimit })
    expect([answer.code, dataOf(answer).equals(blob.subarray(readOffset, readOffset + sizeBytes))]).toEqual([
      'OK',
      true,
    ])
  })

  test('counts an offset in what is not compressed, also where it gives zstd', async () => {
    const blob = fresh(2_000_000)
    const answer = await read(readName(await peer.keep(blob), { compressor: 'zstd' }), { readOffset: 700_000 })
    expect([answer.code, unzstd(dataOf(answer)).equals(blob.subarray(700_000))]).toEqual(['OK', true])
  })

  test.each<[string, string | undefined]>([
    ['as it is', undefined],
    ['as zstd', 'zstd'],
  ])('has the empty blob without being told, %s', async (_, compressor) => {
    const answer = await read(readName(EMPTY, compressor === undefined ? {} : { compressor }))
    const bytes = dataOf(answer)
    expect([answer.code, compressor === undefined ? bytes.length : unzstd(bytes).length]).toEqual(['OK', 0])
  })

  test('takes any instance, with slashes too: blobs are content', async () => {
    const blob = fresh(100)
    expect(dataOf(await read(readName(await peer.keep(blob), { instance: 'a/b-c/d' }))).equals(blob)).toBe(true)
  })

  test.each<[string, (digest: Digest) => [string, object?], string]>([
    ['what is not there', () => [readName(absent())], 'NOT_FOUND'],
    ['what is not there as zstd', () => [readName(absent(), { compressor: 'zstd' })], 'NOT_FOUND'],
    ['another size', (digest) => [readName({ ...digest, sizeBytes: 7 })], 'NOT_FOUND'],
    ['from behind the end', (digest) => [readName(digest), { readOffset: 101 }], 'OUT_OF_RANGE'],
    ['from before the beginning', (digest) => [readName(digest), { readOffset: -1 }], 'OUT_OF_RANGE'],
    ['fewer than no bytes', (digest) => [readName(digest), { readLimit: -1 }], 'INVALID_ARGUMENT'],
    ['a part as zstd', (digest) => [readName(digest, { compressor: 'zstd' }), { readLimit: 10 }], 'INVALID_ARGUMENT'],
    ['no name', () => [''], 'INVALID_ARGUMENT'],
    ['a path', () => ['../../../etc/passwd'], 'INVALID_ARGUMENT'],
    ['a name without a size', (digest) => [`blobs/${digest.hash}`], 'INVALID_ARGUMENT'],
    ['a name with too much', (digest) => [`${readName(digest)}/more`], 'INVALID_ARGUMENT'],
    ['a name of an upload', (digest) => [writeName(digest)], 'INVALID_ARGUMENT'],
    ['a size that is none', ({ hash }) => [`blobs/${hash}/1e2`], 'INVALID_ARGUMENT'],
    ['a negative size', ({ hash }) => [`blobs/${hash}/-1`], 'INVALID_ARGUMENT'],
    ['a hash in upper case', () => [`blobs/${HEX.toUpperCase()}/1`], 'INVALID_ARGUMENT'],
    ['a hash that is too short', () => ['blobs/abc/1'], 'INVALID_ARGUMENT'],
    ['no bytes by another hash', () => [`blobs/${HEX}/0`], 'INVALID_ARGUMENT'],
    ['as deflate', (digest) => [readName(digest, { compressor: 'deflate' })], 'INVALID_ARGUMENT'],
    ['as something unheard of', (digest) => [readName(digest, { compressor: 'rar' })], 'INVALID_ARGUMENT'],
    ['by BLAKE3', ({ hash }) => [`blobs/blake3/${hash}/100`], 'INVALID_ARGUMENT'],
  ])('does not give %s', async (_, ask, code) => {
    const [name, more] = ask(await peer.keep(fresh(100)))
    const answer = await read(name, more)
    expect([answer.code, dataOf(answer).length]).toEqual([code, 0])
  })
})

conformance('ByteStream.Write', (peer) => {
  const write = (requests: Iterable<object> | AsyncIterable<object>) => peer.send('ByteStream/Write', requests)
  const status = (resourceName: string) => peer.call('ByteStream/QueryWriteStatus', { resourceName })
  const read = async (digest: Digest) => peer.call('ByteStream/Read', { resourceName: readName(digest) })
  const isThere = async (digest: Digest) => (await read(digest)).code === 'OK'

  test.each<[string, number, number]>([
    ['no bytes', 0, 1],
    ['one byte', 1, 1],
    ['hundreds of tiny messages', 2_000, 4],
    ['messages of a mebibyte', 3_500_000, 1 << 20],
    ['messages of all sizes', 1_300_000, 99_991],
  ])('takes %s', async (_, sizeBytes, chunkBytes) => {
    const blob = fresh(sizeBytes)
    const digest = digestOf(blob)
    const answer = await write(writeRequests(writeName(digest), blob, { chunkBytes }))
    expect(answer).toMatchObject({ code: 'OK', answer: { committedSize: sizeBytes } })
    expect(dataOf(await read(digest)).equals(blob)).toBe(true)
  })

  test.each([100, 80_000, 3_000_000])('takes %i bytes as zstd', async (sizeBytes) => {
    const blob = fresh(sizeBytes)
    const digest = digestOf(blob)
    const name = writeName(digest, { compressor: 'zstd', instance: 'main' })
    expect(await write(writeRequests(name, zstd(blob), { chunkBytes: 10_000 }))).toMatchObject({ code: 'OK' })
    expect(dataOf(await read(digest)).equals(blob)).toBe(true)
  })

  test('takes a name that is said again, one that ends in something of the client, and an instance with slashes', async () => {
    const blob = fresh(200_000)
    const resourceName = `${writeName(digestOf(blob), { instance: 'a/b/c' })}/some/metadata`
    const requests = [...writeRequests(resourceName, blob)].map((request) => ({ ...request, resourceName }))
    expect(await write(requests)).toMatchObject({ code: 'OK', answer: { committedSize: 200_000 } })
    expect(await isThere(digestOf(blob))).toBe(true)
  })

  test('takes the end in a message of its own', async () => {
    const blob = fresh(3_000)
    const resourceName = writeName(digestOf(blob))
    const requests = [
      { resourceName, data: blob, finishWrite: false },
      { writeOffset: 3_000, finishWrite: true },
    ]
    expect(await write(requests)).toMatchObject({ code: 'OK', answer: { committedSize: 3_000 } })
    expect(await isThere(digestOf(blob))).toBe(true)
  })

  test.each<[string, string | undefined, number]>([
    ['as it is', undefined, 3_000_000],
    ['as zstd', 'zstd', -1],
  ])('answers at once where the blob is there already, %s', async (_, compressor, committedSize) => {
    const blob = fresh(3_000_000)
    const digest = await peer.keep(blob)
    const name = writeName(digest, compressor === undefined ? {} : { compressor })
    // Most of it is never sent: the answer comes before.
    const first = [...writeRequests(name, blob)].slice(0, 1)
    const answered = Promise.withResolvers<void>()
    async function* held() {
      yield* first
      await answered.promise
    }
    const answer = await write(held())
    answered.resolve()
    expect(answer).toMatchObject({ code: 'OK', answer: { committedSize } })
  })

  test('takes the same blob from many at once', async () => {
    const blob = fresh(2_500_000)
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => write(writeRequests(writeName(digestOf(blob)), blob))),
    )
    for (const answer of answers) expect(answer).toMatchObject({ code: 'OK', answer: { committedSize: 2_500_000 } })
    expect(dataOf(await read(digestOf(blob))).equals(blob)).toBe(true)
  })

  test('goes on where an upload broke off, as far as its status says', async () => {
    const blob = fresh(4_000_000)
    const resourceName = writeName(digestOf(blob))
    const half = [...writeRequests(resourceName, blob)].slice(0, 30)
    await write(half)
    const { code, answer } = await status(resourceName)
    expect([code, answer.complete]).toEqual(['OK', false])
    expect(answer.committedSize).toBeLessThanOrEqual(30 << 16)
    const offset = answer.committedSize as number
    const rest = writeRequests(resourceName, blob.subarray(offset), { offset })
    expect(await write(rest)).toMatchObject({ code: 'OK', answer: { committedSize: 4_000_000 } })
    expect(dataOf(await read(digestOf(blob))).equals(blob)).toBe(true)
    expect(await status(resourceName)).toMatchObject({ answer: { complete: true, committedSize: 4_000_000 } })
  })

  test('of what was never begun, nothing has come', async () => {
    const { code, answer } = await status(writeName(absent()))
    expect(code === 'NOT_FOUND' || (answer.committedSize === 0 && !answer.complete)).toBe(true)
    expect(await status('nothing')).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  const blob = fresh(200_000)
  const digest = digestOf(blob)
  const whole = (name: string, bytes: Uint8Array = blob) => [...writeRequests(name, bytes)]
  test.each<[string, () => object[], string]>([
    ['other bytes', () => whole(writeName(digest), fresh(200_000)), 'INVALID_ARGUMENT'],
    ['more bytes', () => whole(writeName(digest), Buffer.concat([blob, blob])), 'INVALID_ARGUMENT'],
    ['fewer bytes', () => whole(writeName(digest), blob.subarray(1)), 'INVALID_ARGUMENT'],
    ['zstd that is none', () => whole(writeName(digest, { compressor: 'zstd' }), blob), 'INVALID_ARGUMENT'],
    [
      'zstd of other bytes',
      () => whole(writeName(digest, { compressor: 'zstd' }), zstd(fresh(200_000))),
      'INVALID_ARGUMENT',
    ],
    [
      'zstd of far more',
      () => whole(writeName(digest, { compressor: 'zstd' }), zstd(Buffer.alloc(1 << 28))),
      'INVALID_ARGUMENT',
    ],
    [
      'zstd that is cut off',
      () => whole(writeName(digest, { compressor: 'zstd' }), zstd(blob).subarray(0, -9)),
      'INVALID_ARGUMENT',
    ],
    [
      'a gap',
      () => whole(writeName(digest)).map((one, i) => (i === 1 ? { ...one, writeOffset: 99_999 } : one)),
      'INVALID_ARGUMENT',
    ],
    [
      'a first part that is not the first',
      () => [...writeRequests(writeName(digest), blob.subarray(5), { offset: 5 })],
      'INVALID_ARGUMENT',
    ],
    [
      'another name on the way',
      () => whole(writeName(digest)).map((one, i) => (i === 1 ? { ...one, resourceName: writeName(EMPTY) } : one)),
      'INVALID_ARGUMENT',
    ],
    ['nothing at all', () => [], 'INVALID_ARGUMENT'],
    ['no name', () => whole(''), 'INVALID_ARGUMENT'],
    ['a name without an upload', () => whole(readName(digest)), 'INVALID_ARGUMENT'],
    ['a name without a UUID', () => whole(`uploads/${readName(digest)}`), 'INVALID_ARGUMENT'],
    ['a hash that is none', () => whole(`uploads/${randomUUID()}/blobs/../../x/5`), 'INVALID_ARGUMENT'],
    [
      'a reserved segment in the instance',
      () => whole(writeName(digest, { instance: 'a/actions' })),
      'INVALID_ARGUMENT',
    ],
    ['brotli', () => whole(writeName(digest, { compressor: 'brotli' })), 'INVALID_ARGUMENT'],
  ])('does not take %s', async (_, requests, code) => {
    expect(await write(requests())).toMatchObject({ code })
    expect(await isThere(digest)).toBe(false)
  })

  test('keeps nothing of what the client did not end, or gave up', async () => {
    await write(whole(writeName(digest)).slice(0, 2))
    expect(await isThere(digest)).toBe(false)
    const name = writeName(digest)
    async function* never() {
      yield* whole(name).slice(0, 2)
      await new Promise(() => undefined)
    }
    const given = peer.send('ByteStream/Write', never(), { made: (call) => setImmediate(() => call.cancel()) })
    expect((await given).code).toBe('CANCELLED')
    expect(await isThere(digest)).toBe(false)
  })
})
