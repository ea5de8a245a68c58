import { expect, test } from 'vitest'
import { gateOf } from '../access.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'

const TOKENS = 'read a-token-that-reads-0\nwrite a-token-that-writes'

test.each(['PUT', 'POST', 'PATCH'])('%s keeps what it brings, and only for who may write', async (method) => {
  await using server = await temporaryServer({ gate: gateOf(TOKENS, 'tokens') })
  const send = (authorization?: string) =>
    fetch(`${server.url}/rush/key`, { method, body: 'four', ...(authorization && { headers: { authorization } }) })
  const read = () => fetch(`${server.url}/rush/key`, { headers: { authorization: 'Bearer a-token-that-reads-0' } })
  for (const authorization of [undefined, 'Bearer a-token-that-reads-0']) {
    expect((await send(authorization)).status).toBe(200)
    expect((await read()).status).toBe(404)
  }
  expect((await send('Bearer a-token-that-writes')).status).toBe(200)
  expect(await (await read()).text()).toBe('four')
})

test('other methods are told which there are', async () => {
  await using server = await temporaryServer()
  const answer = await fetch(`${server.url}/rush/key`, { method: 'DELETE' })
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD, PUT, POST, PATCH'])
})
