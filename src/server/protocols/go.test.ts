import { expect, test } from 'vitest'
import { gateOf } from '../access.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'

const ACTION = 'ab'.repeat(32)
const TIME = '2026-01-02T03:04:05.678Z'

test('an output comes back with its time and its name', async () => {
  await using server = await temporaryServer()
  const url = `${server.url}/go/${ACTION}`
  expect((await fetch(url)).status).toBe(404)
  const put = await fetch(url, { method: 'PUT', body: 'hi', headers: { 'recue-time': TIME } })
  expect(put.status).toBe(200)
  const answer = await fetch(url)
  expect(answer.headers.get('recue-time')).toBe(TIME)
  expect(answer.headers.get('recue-output')).toBe('8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4')
  expect(await answer.text()).toBe('hi')
  expect((await fetch(url, { method: 'HEAD' })).headers.get('content-length')).toBe('2')
  expect((await fetch(url, { method: 'POST', body: 'hi' })).status).toBe(405)
})

test.each([
  [ACTION, 'soon'],
  [ACTION, '2026-01-02'],
  [ACTION, ''],
  [ACTION.toUpperCase(), TIME],
  ['a', TIME],
  ['x'.repeat(64), TIME],
  ['ab'.repeat(65), TIME],
])('%s at the time %j is refused, and not kept', async (action, time) => {
  await using server = await temporaryServer()
  const url = `${server.url}/go/${action}`
  expect((await fetch(url, { method: 'PUT', body: 'hi', headers: { 'recue-time': time } })).status).toBe(400)
  expect((await fetch(url)).status).toBe(action === ACTION ? 404 : 400)
})

test('a token that may only read, and none', async () => {
  await using server = await temporaryServer({ gate: gateOf('read a-token-that-reads-01234', 'tokens') })
  const url = `${server.url}/go/${ACTION}`
  const headers = { authorization: 'Bearer a-token-that-reads-01234', 'recue-time': TIME }
  expect((await fetch(url, { headers })).status).toBe(404)
  expect((await fetch(url, { method: 'PUT', body: 'hi', headers })).status).toBe(403)
  expect((await fetch(url)).status).toBe(401)
})
