import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Listening, listening } from '../../../test/fixtures/grpc-listening.ts'
import { HealthCheckRequest, HealthCheckResponse } from '../../proto/grpc/health/v1/health.ts'
import { gateOf } from '../access.ts'
import { grpcServer } from './grpc-server.ts'
import { type Health, healthService } from './health.ts'

const [SERVING, NOT_SERVING, SERVICE_UNKNOWN] = [1, 2, 3]

let health: Health
let listener: Listening
let client: Client

beforeEach(async () => {
  health = healthService(['a.Service'])
  listener = await listening(
    grpcServer({ methods: health.methods, gate: gateOf('read some-token-0123456789', 'tokens') }),
  )
  client = new Client(`127.0.0.1:${listener.port}`, credentials.createInsecure())
})
afterEach(async () => {
  client.close()
  await listener[Symbol.asyncDispose]()
})

const encode = (request: HealthCheckRequest) => Buffer.from(HealthCheckRequest.encode(request).finish())
const decode = (bytes: Buffer) => HealthCheckResponse.decode(bytes)

function check(service: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      encode,
      decode,
      { service },
      (error: ServiceError | null, value?: HealthCheckResponse) => resolve(error ? -error.code : value?.status),
    )
  })
}

function watch(service: string) {
  const call = client.makeServerStreamRequest(
    '/grpc.health.v1.Health/Watch',
    encode,
    decode,
    { service },
    new Metadata(),
  )
  return call.on('error', () => undefined)
}

test('nobody needs a token to ask; before it serves, it does not', async () => {
  expect(await check('')).toBe(NOT_SERVING)
  health.serve()
  expect(await check('')).toBe(SERVING)
  expect(await check('a.Service')).toBe(SERVING)
  expect(await check('another.Service')).toBe(-status.NOT_FOUND)
  health.pause()
  expect(await check('a.Service')).toBe(NOT_SERVING)
  health.serve()
  expect(await check('a.Service')).toBe(SERVING)
  health.end()
  expect(await check('a.Service')).toBe(NOT_SERVING)
})

test('who watches is told of each change, and let go at the end', async () => {
  const call = watch('a.Service')
  const told: number[] = []
  for await (const answer of call as AsyncIterable<HealthCheckResponse>) {
    told.push(answer.status)
    if (told.length === 1) health.serve()
    if (told.length === 2) {
      health.serve()
      health.end()
    }
  }
  expect(told).toEqual([NOT_SERVING, SERVING, NOT_SERVING])
})

test('who watches what is not there is told so, and waits', async () => {
  const call = watch('another.Service')
  const told: number[] = []
  for await (const answer of call as AsyncIterable<HealthCheckResponse>) {
    told.push(answer.status)
    health.serve()
    health.end()
  }
  expect(told).toEqual([SERVICE_UNKNOWN])
})

test('who has gone is told nothing', async () => {
  const call = watch('')
  await new Promise((resolve) => call.once('data', resolve))
  const ended = new Promise<{ code: number }>((resolve) => call.once('status', resolve))
  call.cancel()
  expect((await ended).code).toBe(status.CANCELLED)
  health.serve()
  expect(await check('')).toBe(SERVING)
})
