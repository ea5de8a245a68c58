import { afterEach, beforeEach, expect, it } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import { content } from '../../store/content.fixture.ts'
import { memoryStore } from '../../store/memory/memory-store.ts'
import { codeOf } from './called.fixture.ts'
import { type UploadResource, uploadResource } from './resource-name.ts'
import { type UploadLimits, Uploads } from './uploads.ts'
import type { WriteStream } from './write-stream.ts'

const [a, b] = [content(100, 1), content(100, 2)]
const CUT = new GrpcStatus(GrpcCode.CANCELLED, 'The client has gone.')

let uploads: Uploads
beforeEach(() => restart({}))
afterEach(() => uploads[Symbol.asyncDispose]())

function restart(limits: Partial<UploadLimits>): void {
  uploads = new Uploads(memoryStore().blobs, { fewestBytes: 0, ...limits })
}

function resourceOf(bytes: Uint8Array): UploadResource {
  return uploadResource(`uploads/u/blobs/${digestOf(bytes).hash}/${bytes.length}`)
}

/** A stream that brings a part of the bytes, then waits for `until`, then says that this was all, or breaks. */
function stream(
  bytes: Uint8Array,
  {
    from = 0,
    to = bytes.length,
    until,
    breaks = undefined,
  }: Partial<{ from: number; to: number; until: Promise<void>; breaks: GrpcStatus }>,
): WriteStream {
  async function* data(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(from, to)
    await until
    if (breaks !== undefined) throw breaks
  }
  const receivedBytes = to - from
  return {
    resource: resourceOf(bytes),
    offset: from,
    data: data(),
    receivedBytes,
    isFinished: breaks === undefined && to === bytes.length,
  }
}

const breakOff = (bytes: Uint8Array, to: number) => codeOf(uploads.write(stream(bytes, { to, breaks: CUT })))

it('forgets an upload that is done', async () => {
  expect(await uploads.write(stream(a, {}))).toBe(100)
  expect(uploads.receivedBytes(resourceOf(a))).toBe(0)
})

it('does not count one as broken that is gone on with', async () => {
  restart({ mostBroken: 1 })
  await breakOff(a, 40)
  const hold = Promise.withResolvers<void>()
  const goingOn = uploads.write(stream(a, { from: 40, to: 100, until: hold.promise }))
  await breakOff(b, 50)
  expect(uploads.receivedBytes(resourceOf(b))).toBe(50)
  hold.resolve()
  expect(await goingOn).toBe(100)
})

it('does not count one as broken whose former stream breaks while another goes on with it', async () => {
  restart({ mostBroken: 0 })
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const former = codeOf(uploads.write(stream(a, { to: 40, until: first.promise, breaks: CUT })))
  await expect.poll(() => uploads.receivedBytes(resourceOf(a))).toBe(40)
  const latter = uploads.write(stream(a, { until: second.promise }))
  first.resolve()
  expect(await former).toBe(GrpcCode.CANCELLED)
  second.resolve()
  expect(await latter).toBe(100)
})

it('refuses a gap at once, and goes on with what there is', async () => {
  await breakOff(a, 40)
  const gap = uploads.write(stream(a, { from: 41 }))
  await expect(gap).rejects.toThrow('write_offset is 41 where 40 bytes have come.')
  expect(await uploads.write(stream(a, { from: 40 }))).toBe(100)
})

it('drops the oldest first, and counts the bytes of all', async () => {
  restart({ mostBrokenBytes: 90 })
  await breakOff(a, 40)
  await breakOff(b, 50)
  expect([a, b].map((bytes) => uploads.receivedBytes(resourceOf(bytes)))).toEqual([40, 50])
  await breakOff(b, 51)
  expect([a, b].map((bytes) => uploads.receivedBytes(resourceOf(bytes)))).toEqual([0, 51])
})

it('keeps nothing of an upload that is told wrong', async () => {
  const wrong = new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'write_offset is wrong.')
  expect(await codeOf(uploads.write(stream(a, { to: 40, breaks: wrong })))).toBe(GrpcCode.INVALID_ARGUMENT)
  expect(uploads.receivedBytes(resourceOf(a))).toBe(0)
})
