import { expect, test } from 'vitest'
import { parseRemote } from './remote-address.ts'

test.each([
  ['grpc://cache:9092', 'reapi', 'http://cache:9092', 'grpc://cache:9092'],
  ['GRPCS://cache', 'reapi', 'https://cache', 'grpcs://cache'],
  ['http://[::1]:8377/team/', 'http', 'http://[::1]:8377', 'http://[::1]:8377/team'],
  ['https://cache/', 'http', 'https://cache', 'https://cache'],
])('%s is an address', (text, protocol, origin, place) => {
  const server = parseRemote(text)
  expect([server.protocol, server.url.origin, server.place]).toEqual([protocol, origin, place])
  expect(server.headers).toEqual({})
})

test('a socket is one, for gRPC', () => {
  expect(parseRemote('unix:/run/recue.sock')).toMatchObject({ protocol: 'reapi', socketPath: '/run/recue.sock' })
})

test('a token is shown as a bearer’s: one that is given, or the one in the address, which is said nowhere', () => {
  const own = parseRemote('grpc://any:its%20own@cache')
  expect(parseRemote('grpc://any:100%@cache').headers).toEqual({ authorization: 'Bearer 100%' })
  expect(own.headers).toEqual({ authorization: 'Bearer its own' })
  expect(`${own.place} ${own.url}`).not.toContain('own')
  expect(parseRemote('grpc://any:its-own@cache', { token: 'given' }).headers.authorization).toBe('Bearer given')
  const headers = { authorization: 'Basic 1', 'x-other': '2' }
  expect(parseRemote('grpc://cache', { token: 'given', headers }).headers).toEqual(headers)
})

test.each([
  '',
  'cache:9092',
  'ftp://cache',
  'grpc://',
  'unix:',
  'grpc://cache/team',
  'http://a b',
  'grpc://u:secret@a b',
])('"%s" is none, and no secret is repeated', (text) => {
  let told: unknown
  try {
    parseRemote(text)
  } catch (error) {
    told = error
  }
  expect(told).toMatchObject({ code: 'usage', message: expect.not.stringContaining('secret') })
})
