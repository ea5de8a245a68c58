import { expect, test } from 'vitest'
import { placeOf, shownAddresses } from './address-list.ts'
import { remoteMembers } from './remote-members.ts'

test.each([
  ['grpc://a:1', [{ address: 'grpc://a:1', name: 'grpc://a:1', weight: 1 }]],
  [
    'grpc://a:1,grpc://b:1 , https://c/x,y',
    [
      { address: 'grpc://a:1', name: 'grpc://a:1', weight: 1 },
      { address: 'grpc://b:1', name: 'grpc://b:1', weight: 1 },
      { address: 'https://c/x,y', name: 'https://c/x,y', weight: 1 },
    ],
  ],
  [
    'grpc://a:1#weight=2,grpc://t:secret@b:1#name=one&weight=0.5,unix:/run/a,b',
    [
      { address: 'grpc://a:1', name: 'grpc://a:1', weight: 2 },
      { address: 'grpc://t:secret@b:1', name: 'one', weight: 0.5 },
      { address: 'unix:/run/a,b', name: 'unix:/run/a,b', weight: 1 },
    ],
  ],
  [
    's3://bucket/p?region=r#weight=3,redis+unix:/run/redis',
    [
      { address: 's3://bucket/p?region=r', name: 's3://bucket/p', weight: 3 },
      { address: 'redis+unix:/run/redis', name: 'redis+unix:/run/redis', weight: 1 },
    ],
  ],
  ['unix:/run/a#b', [{ address: 'unix:/run/a#b', name: 'unix:/run/a#b', weight: 1 }]],
])('%s', (text, members) => {
  expect(remoteMembers(text)).toEqual(members)
})

test.each([
  'grpc://a:1,grpc://a:1',
  'grpc://a:1#name=x,grpc://b:1#name=x',
  'grpc://a:1#weight=0',
  'grpc://a:1#weight=-1',
  'grpc://a:1#weight=many',
  'grpc://a:1#name=',
  'grpc://a:1#weight=1&size=2',
  'grpc://a:1,ftp://b',
])('%s is refused', (text) => {
  expect(() => remoteMembers(text)).toThrow(expect.objectContaining({ code: 'usage' }))
})

test('what is said of them has no secret, and together they are called by the first', () => {
  const text = 'grpc://t:secret@a:1#weight=2,grpc://t:secret@b:1'
  expect(shownAddresses(text)).toBe('grpc://a:1#weight=2, grpc://b:1')
  expect(placeOf(text)).toBe('grpc://a:1 and others')
  expect(placeOf('grpc://t:secret@a:1#weight=2')).toBe('grpc://a:1')
})
