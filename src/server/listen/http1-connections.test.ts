import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { temporaryServer } from '../temporary-server.fixture.ts'

/** The statuses of all answers to what is sent on one connection. */
async function statusesOf(url: string, text: string): Promise<string[]> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true })
  socket.end(text)
  const answers = (await buffer(socket)).toString()
  return [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status as string)
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`

test.each([
  [
    'behind requests',
    `${get('/healthz')}${get('/v1/cache/a')}${get('/healthz')}no request\r\n\r\n`,
    ['200', '404', '200', '400'],
  ],
  ['alone', 'no request\r\n\r\n', ['400']],
  [
    'within a body',
    `${get('/v1/cache/a')}PUT /v1/cache/b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n`,
    ['404', '400'],
  ],
  ['too long', `${get('/v1/cache/a')}GET /${'a'.repeat(40_000)} HTTP/1.1\r\n\r\n`, ['404', '431']],
])('what is no request is refused in its turn: %s', async (_name, text, statuses) => {
  await using server = await temporaryServer()
  expect(await statusesOf(server.url, text)).toEqual(statuses)
  expect(await statusesOf(server.url, get('/v1/cache/b'))).toEqual(['404'])
})
