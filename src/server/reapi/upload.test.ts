import { expect, it } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import { content } from '../../store/content.fixture.ts'
import { codeOf } from './called.fixture.ts'
import { Upload } from './upload.ts'

const bytes = content(1000, 1)
const digest = digestOf(bytes)

/** A store that takes bytes when it is told to. */
function held() {
  const start = Promise.withResolvers<void>()
  const taken: Uint8Array[] = []
  const upload = new Upload(digest, async (source) => {
    await start.promise
    for await (const chunk of source) taken.push(chunk)
  })
  return { upload, take: start.resolve, fail: start.reject, taken: () => Buffer.concat(taken) }
}

it('gives the store each byte once, though calls overtake each other while it is busy', async () => {
  const { upload, take, taken } = held()
  const first = upload.begin().give(0, bytes.subarray(0, 300))
  const second = upload.begin()
  const more = second.give(100, bytes.subarray(100, 700))
  expect(upload.receivedBytes).toBe(300)
  take()
  await Promise.all([first, more])
  await second.give(700, bytes.subarray(700))
  await second.finish()
  expect(taken().equals(bytes)).toBe(true)
})

it('takes nothing from a call that was overtaken, waiting or not', async () => {
  const { upload, take, taken } = held()
  const first = upload.begin()
  const inFlight = first.give(0, bytes.subarray(0, 300))
  const second = upload.begin()
  const waiting = codeOf(second.give(300, bytes.subarray(300, 400)))
  const third = upload.begin()
  expect([first.isLatest, second.isLatest, third.isLatest]).toEqual([false, false, true])
  take()
  await inFlight
  expect(await waiting).toBe(GrpcCode.ABORTED)
  expect(await codeOf(first.give(300, bytes.subarray(300)))).toBe(GrpcCode.ABORTED)
  expect(await codeOf(first.finish())).toBe(GrpcCode.ABORTED)
  expect(upload.receivedBytes).toBe(300)
  await third.give(300, bytes.subarray(300))
  await third.finish()
  expect(taken().equals(bytes)).toBe(true)
})

it('refuses more than the blob has before the store sees it, and an end before its end', async () => {
  const { upload, take, taken } = held()
  take()
  const turn = upload.begin()
  await turn.give(0, bytes)
  expect(await codeOf(turn.give(1000, Buffer.alloc(1)))).toBe(GrpcCode.INVALID_ARGUMENT)
  expect(taken().equals(bytes)).toBe(true)
  const other = held()
  other.take()
  const short = other.upload.begin()
  await short.give(0, bytes.subarray(1))
  await expect(short.finish()).rejects.toThrow(/fewer/)
})

it('tells whoever gives or ends what the store refuses: damage is the mistake of who sent it', async () => {
  for (const [error, told] of [
    [new CacheError('store.corrupt', 'other bytes'), { code: GrpcCode.INVALID_ARGUMENT }],
    [new CacheError('store.full', 'full'), { code: 'store.full' }],
  ] as const) {
    const { upload, fail } = held()
    const turn = upload.begin()
    const giving = turn.give(0, bytes)
    fail(error)
    await expect(giving).rejects.toMatchObject(told)
    await expect(turn.finish()).rejects.toMatchObject(told)
  }
})

it('does not leave who gives waiting for a store that had enough', async () => {
  const upload = new Upload(digest, async (source) => {
    for await (const _ of source) return
  })
  const turn = upload.begin()
  expect(await codeOf(turn.give(0, bytes.subarray(0, 10)))).toBe(GrpcCode.ABORTED)
  expect(await codeOf(turn.give(10, bytes.subarray(10)))).toBe(GrpcCode.ABORTED)
})

it('is dropped when the store has let go of it', async () => {
  const log: string[] = []
  const upload = new Upload(digest, async (source) => {
    try {
      for await (const chunk of source) log.push(`${chunk.length}`)
    } finally {
      await new Promise((resolve) => setImmediate(resolve))
      log.push('let go')
    }
  })
  await upload.begin().give(0, bytes.subarray(0, 10))
  await upload.drop(new GrpcStatus(GrpcCode.ABORTED, 'given up'))
  expect(log).toEqual(['10', 'let go'])
})
