import { describe, expect, test } from 'vitest'
import type { EnvironmentSelection } from '../request.ts'
import { childEnvironment } from './environment.ts'

function select(given: Partial<EnvironmentSelection>, platform: NodeJS.Platform = 'linux') {
  return childEnvironment({ source: {}, keyed: [], passed: [], normalize: [], ...given }, platform)
}

describe('the child gets', () => {
  test('what everybody needs, without it being in the key', () => {
    const source = {
      PATH: '/bin',
      HOME: '/h',
      XDG_DATA_HOME: '/x',
      https_proxy: 'p',
      CI: '1',
      GITHUB_SHA: 's',
      TERM: 't',
      RECUE_CACHE_DIR: '/c',
    }
    const { child, keyed } = select({ source })
    expect(child.variables).toEqual(source)
    expect(keyed).toEqual([])
    expect(child.withheld).toEqual([])
  })

  test('locale, time zone and node’s settings, in the key', () => {
    const source = { TZ: 'UTC', LANG: '', LC_ALL: 'C', NODE_ENV: 'test', NODE_OPTIONS: '', LANGUAGE: 'de' }
    const { child, keyed } = select({ source })
    expect(child.variables).toEqual(source)
    expect(keyed.map(({ name }) => name)).toEqual(['LANG', 'LANGUAGE', 'LC_ALL', 'NODE_ENV', 'NODE_OPTIONS', 'TZ'])
  })

  test('nothing else, and the names that were kept from it are known', () => {
    const { child } = select({ source: { SECRET: 'x', PATH: '/bin', PATHS: 'y', MY_LC_ALL: 'z', RECUE_FORCE: '1' } })
    expect(child.variables).toEqual({ PATH: '/bin' })
    expect(child.withheld).toEqual(['MY_LC_ALL', 'PATHS', 'RECUE_FORCE', 'SECRET'])
  })

  test('what was asked for, by name or pattern', () => {
    const source = { VITE_A: '1', VITE_B: '', OTHER: '2', A_END: '3', 'A.B': '4', AxB: '5' }
    const { child, keyed } = select({ source, keyed: ['VITE_*', '*_END', 'A.B'], passed: ['OTHER'] })
    expect(keyed.map(({ name }) => name)).toEqual(['A.B', 'A_END', 'VITE_A', 'VITE_B'])
    expect(Object.keys(child.variables).sort()).toEqual(['A.B', 'A_END', 'OTHER', 'VITE_A', 'VITE_B'])
    expect(child.withheld).toEqual(['AxB'])
  })

  test('a variable of the key even where it would be passed anyway', () => {
    expect(select({ source: { HOME: '/h' }, keyed: ['HOME'] }).keyed).toEqual([{ name: 'HOME', value: '/h' }])
  })
})

test('unset and empty differ', () => {
  expect(select({ source: {}, keyed: ['X'] }).keyed).toEqual([])
  expect(select({ source: { X: undefined }, keyed: ['X'] }).keyed).toEqual([])
  expect(select({ source: { X: '' }, keyed: ['X'] }).keyed).toEqual([{ name: 'X', value: '' }])
})

test('normalising makes machines alike', () => {
  const normalize = ['locale', 'timezone'] as const
  const here = select({ source: { LANG: 'de_DE.UTF-8', LC_TIME: 'C', TZ: 'Europe/Berlin' }, normalize })
  const there = select({ source: { LANGUAGE: 'en' }, normalize })
  expect(here).toEqual(there)
  expect(here.child.variables).toEqual({ LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', TZ: 'UTC' })
})

test('names that look like secrets are pointed out when they go into the key', () => {
  const source = { NPM_TOKEN: 'a', API_KEY: 'b', DB_PASSWORD: 'c', KEYBOARD: 'd', TOKENIZER: 'e', GH_SECRET: 'f' }
  expect(select({ source, keyed: ['*'] }).child.suspicious).toEqual([
    'API_KEY',
    'DB_PASSWORD',
    'GH_SECRET',
    'NPM_TOKEN',
  ])
  expect(select({ source, passed: ['*'] }).child.suspicious).toEqual([])
})

test('on Windows names are the same in any case', () => {
  const { child, keyed } = select({ source: { Path: 'C:\\', Node_Env: 'x' }, keyed: [] }, 'win32')
  expect(child.variables).toEqual({ Path: 'C:\\', Node_Env: 'x' })
  expect(keyed).toEqual([{ name: 'Node_Env', value: 'x' }])
})
