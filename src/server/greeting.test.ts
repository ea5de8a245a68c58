import { expect, test } from 'vitest'
import { VERSION } from '../version.ts'
import { gateOf } from './access.ts'
import { GREETING_PATH } from './greeting.ts'
import { temporaryServer } from './temporary-server.fixture.ts'

const READ = 'reads-and-no-more-0'
const WRITE = 'writes-and-reads-00'

test('a server says that it is one, and what a token may; its version only to who may something', async () => {
  await using server = await temporaryServer({ gate: gateOf(`read ${READ}\nwrite ${WRITE}\n`, 'tokens') })
  const said = async (headers: Record<string, string>) =>
    (await fetch(server.url + GREETING_PATH, { headers })).json() as Promise<unknown>
  expect(await said({ authorization: `Bearer ${READ}` })).toEqual({ server: 'recue', access: 'read', version: VERSION })
  expect(await said({ authorization: `Bearer ${WRITE}` })).toMatchObject({ access: 'write' })
  expect(await said({})).toEqual({ server: 'recue', access: 'none' })
  expect(await said({ authorization: 'Bearer another-token-000' })).toEqual({ server: 'recue', access: 'none' })
})

test('an address with an instance greets as well, and a tool may keep something under that name', async () => {
  await using server = await temporaryServer()
  expect(await (await fetch(`${server.url}/red${GREETING_PATH}`)).json()).toMatchObject({ server: 'recue' })
  expect((await fetch(`${server.url}/red/blue${GREETING_PATH}`)).status).toBe(404)
  expect((await fetch(`${server.url}/red-recue`)).status).toBe(404)
  const key = `${server.url}/ccache${GREETING_PATH}`
  await fetch(key, { method: 'PUT', body: 'kept' })
  expect(await (await fetch(key)).text()).toBe('kept')
})

test('a tool that asks by gRPC where HTTP alone is spoken hears so in its own words', async () => {
  await using server = await temporaryServer({ grpc: { kind: 'tcp', host: '127.0.0.1', port: 0 } })
  const headers = { 'content-type': 'application/grpc' }
  const path = '/build.bazel.remote.execution.v2.Capabilities/GetCapabilities'
  const answer = await fetch(server.url + path, { method: 'POST', headers, body: '' })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('grpc-status')).toBe('12')
  expect(answer.headers.get('grpc-message')).toContain('speaks HTTP alone')
})

test('below the same name lives the instance of that name', async () => {
  await using server = await temporaryServer()
  expect((await fetch(`${server.url}${GREETING_PATH}/v1/cache/1`)).status).toBe(404)
  expect((await fetch(`${server.url}${GREETING_PATH}/v8/artifacts/status`)).status).toBe(200)
})
