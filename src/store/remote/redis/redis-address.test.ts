import { expect, test } from 'vitest'
import { parseRedis } from './redis-address.ts'

const usual = {
  port: 6379,
  database: 0,
  ttlMs: 14 * 86_400_000,
  mostBlobBytes: 1 << 20,
  user: undefined,
  password: undefined,
}

test.each([
  ['redis://cache', { ...usual, place: 'redis://cache:6379/0' }, 'http://cache'],
  ['valkey://cache:80/15', { ...usual, port: 80, database: 15, place: 'valkey://cache:80/15' }, 'http://cache'],
  ['rediss://cache/', { ...usual, place: 'rediss://cache:6379/0' }, 'https://cache'],
  ['valkeys://cache', { ...usual, place: 'valkeys://cache:6379/0' }, 'https://cache'],
  ['redis://[::1]:7000', { ...usual, port: 7000, place: 'redis://[::1]:7000/0' }, 'http://[::1]'],
  [
    'redis://u%40:p%2F@cache?ttl=2h&max-blob=64MiB',
    { ...usual, user: 'u@', password: 'p/', ttlMs: 7_200_000, mostBlobBytes: 64 << 20, place: 'redis://cache:6379/0' },
    'http://cache',
  ],
  [
    'redis+unix:/run/redis.sock?db=2&ttl=1s',
    { ...usual, socketPath: '/run/redis.sock', database: 2, ttlMs: 1000, place: 'redis+unix:/run/redis.sock' },
    'http://localhost',
  ],
] as const)('%s is an address', (text, expected, origin) => {
  const server = parseRedis(text)
  expect(server).toMatchObject(expected)
  expect(server.url.origin).toBe(origin)
})

test('a token is the password, before one in the address; the place names neither', () => {
  const server = parseRedis('redis://:own-secret@cache', { token: 'given' })
  expect(server).toMatchObject({ user: undefined, password: 'given' })
  expect(`${server.place} ${server.url}`).not.toMatch(/secret|given/)
})

test.each([
  'redis://',
  'redis:cache',
  'http://cache',
  'redis://cache/one',
  'redis://cache/1/2',
  'redis://cache?ttl=1',
  'redis://cache?ttl=10ms',
  'redis://cache?max-blob=65MiB',
  'redis://cache?size=1',
  'redis://cache?db=1',
  'redis+unix:',
  'redis+unix:/',
  'redis://u:secret@cache/one',
  'redis://u:secret@a b',
])('"%s" is none, and no secret is repeated', (text) => {
  let told: unknown
  try {
    parseRedis(text)
  } catch (error) {
    told = error
  }
  expect(told).toMatchObject({ code: 'usage', message: expect.not.stringContaining('secret') })
})
