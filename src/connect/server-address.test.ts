import { describe, expect, test } from 'vitest'
import { parseServerAddress, placeOf, prefixOf, requestOptionsOf } from './server-address.ts'
import { remoteOf, TOKEN } from './tool.ts'

const SECRET = 'a-token-of-the-tests-0123'

test.each([
  ['http://cache:8377', 'http://cache:8377'],
  ['http://cache:8377/', 'http://cache:8377'],
  ['https://cache/base/', 'https://cache/base'],
  ['grpc://cache:8377', 'http://cache:8377'],
  ['grpcs://cache', 'https://cache'],
  ['HTTP://CACHE:8377/?x=1#y', 'http://cache:8377'],
  [`http://any:${SECRET}@cache:8377`, 'http://cache:8377'],
  ['http://[::1]:8377', 'http://[::1]:8377'],
  ['unix:/run/recue.sock', 'unix:/run/recue.sock'],
])('%s is %s', (text, place) => {
  expect(placeOf(parseServerAddress(text))).toBe(place)
})

test.each(['', 'cache', 'cache:8377', 'ftp://cache', 'http://', 'unix:'])('"%s" is none', (text) => {
  expect(() => parseServerAddress(text)).toThrow('is no address of a server')
})

test('a mistake in an address does not show the token in it', () => {
  expect(() => parseServerAddress(`ftp://any:${SECRET}@cache`)).toThrow(/^(?!.*a-token)/)
})

test('a token is taken from the address where none is given, and what is given wins', () => {
  const text = 'http://any:of%20the%20address@cache'
  expect(parseServerAddress(text).token).toBe('of the address')
  expect(parseServerAddress(text).url.href).toBe('http://cache/')
  expect(parseServerAddress(text, { token: SECRET }).token).toBe(SECRET)
  expect(parseServerAddress('http://cache').token).toBeUndefined()
})

test('the prefix is that of the server, and then the instance', () => {
  expect(prefixOf(parseServerAddress('http://cache'))).toBe('')
  expect(prefixOf(parseServerAddress('http://cache/base', { instance: 'red' }))).toBe('/base/red')
  expect(prefixOf(parseServerAddress('http://cache', { instance: 'red' }), '')).toBe('')
  expect(() => parseServerAddress('http://cache', { instance: 'a/b' })).toThrow('no name of an instance')
})

test('requests go to the host without brackets, to the socket, and with certificates only by TLS', () => {
  expect(requestOptionsOf(parseServerAddress('http://[::1]:8377', { tls: { ca: 'x' } }))).toEqual({
    hostname: '::1',
    port: '8377',
  })
  expect(requestOptionsOf(parseServerAddress('https://cache', { tls: { ca: 'x' } }))).toEqual({
    hostname: 'cache',
    ca: 'x',
  })
  expect(requestOptionsOf(parseServerAddress('unix:/a'))).toEqual({ socketPath: '/a' })
})

describe('as tools want it', () => {
  test('over HTTP and gRPC, with the instance and the place of the token', () => {
    expect(remoteOf(parseServerAddress('https://cache/base', { instance: 'red', token: SECRET }))).toEqual({
      http: 'https://cache/base/red',
      httpWithToken: `https://any:${TOKEN}@cache/base/red`,
      grpc: 'grpcs://cache:443',
      isTls: true,
      instance: 'red',
      hasToken: true,
    })
  })
  test('without a token, at a port', () => {
    expect(remoteOf(parseServerAddress('http://cache:8377'))).toMatchObject({
      http: 'http://cache:8377',
      httpWithToken: 'http://cache:8377',
      grpc: 'grpc://cache:8377',
      isTls: false,
    })
  })
})
