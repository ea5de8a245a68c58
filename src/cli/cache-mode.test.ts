import { expect, test } from 'vitest'
import { CACHE_MODE, cacheModeOf } from './cache-mode.ts'

test.each([
  ['local:rw', 'rw', 'rw'],
  ['local:r', 'r', 'r'],
  ['local:w', 'w', 'w'],
  ['local:rw,remote:r', 'rw', 'r'],
  ['local:rw,remote:w', 'rw', 'w'],
  ['local:rw,remote:off', 'rw', ''],
  ['local:r,remote:rw', 'r', 'r'],
  ['local:w,remote:r', 'w', ''],
  ['remote:r', 'rw', 'r'],
  ['remote:off', 'rw', ''],
  ['off', '', ''],
])('%s', (text, here, there) => {
  expect(text).toMatch(CACHE_MODE)
  const { read, write, remote } = cacheModeOf(text)
  const letters = (mode: { read: boolean; write: boolean }) => `${mode.read ? 'r' : ''}${mode.write ? 'w' : ''}`
  expect([letters({ read, write }), letters(remote)]).toEqual([here, there])
})

test.each([
  '',
  'local',
  'local:',
  'local:x',
  'local:off',
  'remote:rw,local:rw',
  'local:rw,',
  'off,remote:r',
  ' local:r',
])('"%s" is none', (text) => expect(text).not.toMatch(CACHE_MODE))
