import { expect, it } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode } from '../../grpc/status.ts'
import type { WriteRequest } from '../../proto/google/bytestream/bytestream.ts'
import { codeOf } from './called.fixture.ts'
import { openWriteStream } from './write-stream.ts'

const resourceName = `uploads/u/blobs/${digestOf(Buffer.from('whatever')).hash}/100`

function request(writeOffset: number, text: string, more: Partial<WriteRequest> = {}): WriteRequest {
  return { resourceName: '', writeOffset, data: Buffer.from(text), finishWrite: false, ...more }
}

async function read(...requests: readonly WriteRequest[]) {
  let asked = 0
  async function* counted(): AsyncGenerator<WriteRequest> {
    for (const one of requests) {
      asked++
      yield one
    }
  }
  const stream = await openWriteStream(counted())
  const data: string[] = []
  for await (const piece of stream.data) data.push(`${piece}`)
  const { offset, isFinished, receivedBytes } = stream
  return { offset, isFinished, receivedBytes, data, asked }
}

it('gives the data of requests that follow each other, up to the last', async () => {
  const first = request(7, 'ab', { resourceName })
  expect(
    await read(first, request(9, ''), request(9, 'c', { resourceName }), request(10, 'd', { finishWrite: true })),
  ).toEqual({ offset: 7, isFinished: true, receivedBytes: 4, data: ['ab', 'c', 'd'], asked: 4 })
  expect(await read(first, request(9, 'c'))).toMatchObject({ isFinished: false, receivedBytes: 3, data: ['ab', 'c'] })
  expect(await read(first, request(9, '', { finishWrite: true }))).toMatchObject({ isFinished: true, data: ['ab'] })
})

it('asks for nothing behind the last', async () => {
  const last = request(0, 'ab', { resourceName, finishWrite: true })
  expect(await read(last, request(2, 'cd'))).toMatchObject({ isFinished: true, data: ['ab'], asked: 1 })
})

it('refuses requests that do not follow each other', async () => {
  const first = request(0, 'ab', { resourceName })
  const { INVALID_ARGUMENT } = GrpcCode
  for (const at of [-1, 0, 1, 3]) expect(await codeOf(read(first, request(at, 'c'))), `${at}`).toBe(INVALID_ARGUMENT)
  expect(await codeOf(read(first, request(2, 'c', { resourceName: `x/${resourceName}` })))).toBe(INVALID_ARGUMENT)
  expect(await codeOf(read(request(0, 'ab')))).toBe(INVALID_ARGUMENT)
  expect(await codeOf(read(request(-1, 'ab', { resourceName })))).toBe(INVALID_ARGUMENT)
  expect(await codeOf(read())).toBe(INVALID_ARGUMENT)
})
