import { expect, test } from 'vitest'
import { isLocal, parseListenAddress } from './listen-address.ts'

test.each([
  ['8377', { kind: 'tcp', host: '127.0.0.1', port: 8377 }, true],
  ['127.0.0.1:0', { kind: 'tcp', host: '127.0.0.1', port: 0 }, true],
  ['localhost:80', { kind: 'tcp', host: 'localhost', port: 80 }, true],
  [':8377', { kind: 'tcp', host: '::', port: 8377 }, false],
  ['0.0.0.0:8377', { kind: 'tcp', host: '0.0.0.0', port: 8377 }, false],
  ['[::1]:8377', { kind: 'tcp', host: '::1', port: 8377 }, true],
  ['cache.example:443', { kind: 'tcp', host: 'cache.example', port: 443 }, false],
  ['unix:/run/recue.sock', { kind: 'unix', path: '/run/recue.sock' }, true],
] as const)('%s', (text, address, local) => {
  expect(parseListenAddress(text, '--http')).toEqual(address)
  expect(isLocal(address)).toBe(local)
})

test.each(['', 'here', '127.0.0.1', '1:2:3', '127.0.0.1:65536', '127.0.0.1:-1', 'unix:', 'http://127.0.0.1:80'])(
  '"%s" is none',
  (text) => {
    expect(() => parseListenAddress(text, '--http')).toThrow(/^--http: /)
  },
)
