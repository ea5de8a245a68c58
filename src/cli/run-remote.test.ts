import { expect, test } from 'vitest'
import { cacheModeOf } from './cache-mode.ts'
import { commandRemote, usersBound } from './run-remote.ts'
import { ALL_OPTIONS, configLayer, environmentLayer, type Layer, resolve, type Settings, valuesOf } from './settings.ts'

const variables = (said: Record<string, string>) => environmentLayer(ALL_OPTIONS, said)
const project = (said: Record<string, unknown>) => configLayer('project', '/p/recue.config.json', said)
const task = (said: Record<string, unknown>) => configLayer('task', '/p/recue.config.json: tasks.build', said)
const user = (said: Record<string, unknown>) => configLayer('user', '/home/u/config.json', said)
const BOTH = { read: true, write: true }

test.each([
  [[], BOTH],
  [[project({ cache: 'off' }), task({ cache: 'local:r' })], BOTH],
  [[user({ cache: 'local:rw,remote:r' })], { read: true, write: false }],
  [[project({ cache: 'local:rw,remote:rw' }), user({ cache: 'local:rw,remote:r' })], { read: true, write: false }],
  [[variables({ RECUE_CACHE: 'remote:rw' }), user({ cache: 'local:rw,remote:r' })], BOTH],
  [[project({ cacheDir: 'theirs' })], { read: true, write: false }],
  [[task({ cacheDir: 'theirs' })], { read: true, write: false }],
  [[variables({ RECUE_CACHE_DIR: '/own' }), project({ cacheDir: 'theirs' })], BOTH],
  [[project({ cacheDir: 'theirs' }), user({ cacheDir: '/own' })], { read: true, write: false }],
  [[user({ cacheDir: '/own' })], BOTH],
] as const)('%o: a checkout cannot widen what its user lets a remote do', (layers, bound) => {
  expect(usersBound(layers)).toEqual(bound)
})

function forRun(layers: readonly Layer[], cache: string) {
  const settings = valuesOf<typeof ALL_OPTIONS>(resolve(ALL_OPTIONS, layers)) as Settings
  const context = { cwd: '/', environment: {}, output: undefined as never }
  return commandRemote({ settings, layers }, context)?.forRun(cacheModeOf(cache))
}

test('a run gets what both its setting and its user say', () => {
  const layers = [user({ remote: 'grpc://a', cache: 'local:rw,remote:r', uploadWait: '3s', remoteTimeout: '2s' })]
  const times = { uploadWait: 3_000, timeout: 2_000 }
  expect(forRun(layers, 'local:rw')).toMatchObject({ address: 'grpc://a', read: true, write: false, ...times })
  expect(forRun(layers, 'local:rw,remote:w')).toBe(undefined)
  expect(forRun([user({ remote: 'grpc://a' })], 'local:rw,remote:w')).toMatchObject({ read: false, write: true })
  expect(forRun([user({ remote: 'grpc://a' })], 'off')).toBe(undefined)
  const writes = user({ remote: 'grpc://a', cache: 'local:rw,remote:w' })
  expect(forRun([project({ cache: 'local:rw' }), writes], 'local:rw')).toMatchObject({ read: false, write: true })
  expect(forRun([variables({ RECUE_REMOTE: '' }), project({ remote: 'grpc://a' })], 'local:rw')).toBe(undefined)
  expect(forRun([], 'local:rw')).toBe(undefined)
})
