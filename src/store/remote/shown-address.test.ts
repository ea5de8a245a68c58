import { expect, test } from 'vitest'
import { shownAddress } from './shown-address.ts'

test.each([
  ['grpcs://:secret@host:1/x', 'grpcs://host:1/x'],
  ['https://user:se@cret@host/x', 'https://host/x'],
  ['redis+unix:/path//a@b', 'redis+unix:/path//a@b'],
  ['rediss://user:secret@host/1?ttl=1d', 'rediss://host/1?ttl=1d'],
  ['http://host/@team/x?a=b@c', 'http://host/@team/x?a=b@c'],
  ['unix:/path/of@socket', 'unix:/path/of@socket'],
  ['s3://key:se/cr@et@bucket', 's3://bucket'],
  ['grpc://user:se?cret@host', 'grpc://host'],
  ['//:secret@host', '//host'],
])('%s is shown as %s', (address, shown) => {
  expect(shownAddress(address)).toBe(shown)
})
