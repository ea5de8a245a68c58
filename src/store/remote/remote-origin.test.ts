import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasUserInfo, originOf } from './remote-origin.ts'

test.each([
  ['grpcs://Cache.Example', 'grpcs://cache.example:443'],
  ['GRPCS://cache.example:443/', 'grpcs://cache.example:443'],
  ['grpcs://cache.example.', 'grpcs://cache.example:443'],
  ['grpc://any:token@cache:9092', 'grpc://cache:9092'],
  ['https://cache/team/a?b#c', 'https://cache:443'],
  ['http://[::1]:8377', 'http://[::1]:8377'],
  ['http://cache', 'http://cache:80'],
  ['http://0x7f.1', 'http://127.0.0.1:80'],
  ['unix:/run/recue.sock', 'unix:/run/recue.sock'],
  ['redis://u:p@cache/3', 'redis://cache:6379'],
  ['VALKEYS://cache:7000', 'rediss://cache:7000'],
  ['redis+unix:/run/redis.sock', 'unix:/run/redis.sock'],
  ['s3://cache/team?region=eu-west-1&profile=x', 's3:https://cache.s3.eu-west-1.amazonaws.com'],
  ['s3://cache/other?endpoint=http://Store:9000', 's3:http://store:9000/cache'],
])('%s is of %s', (address, origin) => expect(originOf(address)).toBe(origin))

test('no two of scheme, host and port are of one origin', () => {
  const places = [
    'grpc://a',
    'grpcs://a',
    'http://a',
    'https://a',
    'https://a:80',
    'https://a.b',
    'https://b',
    'unix:a',
    'redis://a',
    'rediss://a',
    's3://aaa',
    's3://aab',
    's3://aaa?region=eu-west-1',
    's3://aaa?endpoint=a',
    's3://aaa?endpoint=b',
  ]
  expect(new Set(places.map(originOf)).size).toBe(places.length)
})

test('what stands before the host is never taken for it', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9.:%#?@\\-]{0,12}$/), (before) => {
      let origin: string
      try {
        origin = originOf(`https://${before}@evil.example/`)
      } catch {
        return
      }
      // A host ends where a path, a query or a fragment begins: then that is what is asked, too.
      expect(origin === 'https://evil.example:443' || /[?#\\]/.test(before)).toBe(true)
    }),
  )
})

test('a password before the host is seen', () => {
  expect(['grpc://u:p@h', 'https://u@h/x', 'HTTPS://@h', 's3://k:s@b'].map(hasUserInfo)).toEqual([
    true,
    true,
    true,
    true,
  ])
  expect(['grpc://h', 'https://h/a@b', 'unix:/a@b', 'https://h?a@b'].map(hasUserInfo)).toEqual([
    false,
    false,
    false,
    false,
  ])
})
