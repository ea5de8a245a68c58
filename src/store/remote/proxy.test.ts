import { expect, test } from 'vitest'
import { proxyFor } from './proxy.ts'
import { parseRemote } from './remote-address.ts'

const of = (address: string, environment: Record<string, string>) => proxyFor(parseRemote(address), environment)?.href

test.each([
  ['grpcs://cache', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1/'],
  ['https://cache', { https_proxy: 'http://small:1', HTTPS_PROXY: 'http://p:1' }, 'http://small:1/'],
  ['grpc://cache', { HTTPS_PROXY: 'http://p:1' }, undefined],
  ['grpc://cache', { HTTP_PROXY: 'p:1' }, 'http://p:1/'],
  ['http://cache', { ALL_PROXY: 'https://u:p@p' }, 'https://u:p@p/'],
  ['grpcs://cache', { HTTPS_PROXY: '', ALL_PROXY: 'http://all' }, 'http://all/'],
  ['grpcs://cache', { HTTPS_PROXY: 'socks5://p:1' }, undefined],
  ['unix:/run/x', { HTTP_PROXY: 'http://p', HTTPS_PROXY: 'http://p', ALL_PROXY: 'http://p' }, undefined],
  ['http://localhost:1', { HTTP_PROXY: 'http://p' }, undefined],
  ['http://127.0.0.1:1', { HTTP_PROXY: 'http://p' }, undefined],
  ['http://[::1]:1', { HTTP_PROXY: 'http://p' }, undefined],
])('%s with %o: %s', (address, environment, proxy) => expect(of(address, environment as never)).toBe(proxy))

test.each([
  ['*', true],
  ['cache.corp', true],
  ['.corp', true],
  ['*.corp', true],
  ['corp', true],
  ['other, CACHE.corp ', true],
  ['other cache.corp', true],
  ['cache.corp:443', true],
  ['cache.corp:80', false],
  ['orp', false],
  ['xcache.corp', false],
  ['cache.corp.evil', false],
  ['', false],
  [',', false],
])('NO_PROXY=%s lets it go without: %s', (list, isExempt) => {
  expect(of('grpcs://cache.corp', { HTTPS_PROXY: 'http://p', NO_PROXY: list }) === undefined).toBe(isExempt)
})
