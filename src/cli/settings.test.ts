import { describe, expect, test } from 'vitest'
import { COMMANDS } from './commands.ts'
import { isForUsersAlone, PROJECT_SCHEMA, USER_SCHEMA } from './config/schema.ts'
import { flagName, hasVariable, type OptionSpec, variableName } from './options.ts'
import {
  ALL_OPTIONS,
  configLayer,
  environmentLayer,
  type Layer,
  resolve,
  SETTINGS,
  splitList,
  valuesOf,
} from './settings.ts'

const flags = (values: Record<string, readonly string[]>): Layer => ({
  origin: 'flag',
  place: '',
  values: new Map(Object.entries(values)),
})
const value = (key: string, ...layers: Layer[]) => resolve(ALL_OPTIONS, layers).get(key)

describe('precedence', () => {
  const user = configLayer('user', '/home/u/config.json', { ttl: '1d', outputLogs: 'none', env: ['A'] })
  const project = configLayer('project', '/p/recue.config.json', { ttl: '2d', env: ['B'] })
  const environment = environmentLayer(ALL_OPTIONS, { RECUE_TTL: '3d', RECUE_ENV: 'C' })

  test('flag, environment, project, user, default', () => {
    const day = 86_400_000
    expect(value('ttl', flags({ ttl: ['4d'] }), environment, project, user)).toMatchObject({
      value: 4 * day,
      origin: 'flag',
    })
    expect(value('ttl', environment, project, user)).toMatchObject({ value: 3 * day, places: ['RECUE_TTL'] })
    expect(value('ttl', project, user)).toMatchObject({ value: 2 * day, places: ['/p/recue.config.json: ttl'] })
    expect(value('outputLogs', project, user)).toMatchObject({ value: 'none', origin: 'user' })
    expect(value('outputLogs', project)).toEqual({ value: 'full', origin: 'default', places: [] })
  })

  test('of a flag given twice the last counts', () => {
    expect(value('ttl', flags({ ttl: ['4d', '5s'] }))).toMatchObject({ value: 5000 })
  })

  test('lists are joined: what the project keys does not leave the key because of a flag', () => {
    expect(value('env', flags({ env: ['D', 'B'] }), environment, project, user)?.value).toEqual(['A', 'B', 'C', 'D'])
  })

  test('maps are joined, of one name the strongest', () => {
    const config = configLayer('project', 'f', { platform: { os: 'a', cpu: 'b' } })
    expect(value('platform', flags({ platform: ['os=c=d'] }), config)?.value).toEqual({ os: 'c=d', cpu: 'b' })
  })
})

test.each([
  [{ ttl: ['soon'] }, '--ttl: "soon" is not a duration.'],
  [{ maxCacheSize: ['big'] }, '--max-cache-size: "big" is not a size.'],
  [{ outputLogs: ['ful'] }, '--output-logs: "ful" is none of'],
  [{ clean: ['maybe'] }, '--no-clean: "maybe" is neither true nor false.'],
  [{ platform: ['x'] }, '--platform: "x" is not NAME=VALUE.'],
  [{ cacheDir: [''] }, '--cache-dir: The name is empty.'],
  [{ normalize: ['colour'] }, '--normalize: "colour" is none of locale, timezone.'],
  [{ maxCacheSize: ['0'] }, '--max-cache-size: "0" is too little.'],
  [{ ttl: ['0'] }, '--ttl: "0" is too little.'],
  [{ maxEntries: ['1e3'] }, '--max-entries: "1e3" is not a whole number.'],
  [{ maxEntries: ['99999999999999999999'] }, 'is not a whole number.'],
  [{ concurrency: ['0'] }, '--concurrency: "0" is not understood.'],
  [{ concurrency: ['-1'] }, '--concurrency: "-1" is not understood.'],
  [{ compression: ['20'] }, '--compression: "20" is not understood.'],
])('%j is refused and named', (given, message) => {
  expect(() => resolve(ALL_OPTIONS, [flags(given)])).toThrow(message)
})

test('a mistake in a variable names the variable', () => {
  expect(() => resolve(ALL_OPTIONS, [environmentLayer(ALL_OPTIONS, { RECUE_CLEAN: 'x' })])).toThrow('RECUE_CLEAN: "x"')
})

test.each([
  ['a,b', ['a', 'b']],
  ['src/{a,b}/*.ts,c', ['src/{a,b}/*.ts', 'c']],
  ['a,b\nc', ['a,b', 'c']],
  [' a , ', ['a']],
])('%j as a list is %j', (text, items) => {
  expect(splitList(text)).toEqual(items)
})

test('every setting of the table is in the schema, and the other way round', () => {
  const inSchema = Object.keys(PROJECT_SCHEMA.shape).filter((key) => key !== '$schema' && key !== 'tasks')
  const own = Object.keys(USER_SCHEMA.shape).filter(isForUsersAlone)
  expect([...SETTINGS.keys()].sort()).toEqual([...inSchema, ...own].sort())
  expect(own).toEqual(Object.keys(USER_SCHEMA.shape).filter((key) => !Object.hasOwn(PROJECT_SCHEMA.shape, key)))
})

test.each([
  ['grpcs://cache', true],
  ['HTTP://[::1]:80/team', true],
  ['unix:/run/x', true],
  ['', true],
  ['cache:9092', false],
  ['ftp://cache', false],
  ['grpc:///x', false],
  ['grpc://a\u001b[2J', false],
  ['https://a/\n', false],
  ['unix:', false],
])('%j as a remote is understood: %s', (address, isOne) => {
  const ask = () => value('remote', flags({ remote: [address] }))?.value
  if (isOne) expect(ask()).toBe(address)
  else expect(ask).toThrow('is not understood')
})

test('what a command is told to do has no variable', async () => {
  const environment = Object.fromEntries(
    ['REPAIR', 'DRY_RUN', 'YES', 'TRASH', 'TARGET', 'LIMIT', 'ALL', 'HELP'].map((name) => [`RECUE_${name}`, '1']),
  )
  for (const load of Object.values(COMMANDS)) {
    const { command } = await load()
    expect(environmentLayer({ ...ALL_OPTIONS, ...command.options }, environment).values.size).toBe(0)
  }
  expect(environmentLayer(ALL_OPTIONS, { RECUE_FORCE: '1', RECUE_JSON: '1' }).values.size).toBe(2)
})

test('a variable means the same for every command', async () => {
  const meanings = new Map(Object.entries<OptionSpec>(ALL_OPTIONS))
  for (const load of Object.values(COMMANDS)) {
    const { command } = await load()
    for (const [key, spec] of Object.entries<OptionSpec>(command.options)) {
      if (!hasVariable(spec)) continue
      expect(spec).toBe(meanings.get(key) ?? spec)
      meanings.set(key, spec)
    }
  }
})

test('flags, variables and short names are unambiguous', () => {
  const keys = Object.keys(ALL_OPTIONS)
  expect(new Set(keys.map(flagName)).size).toBe(keys.length)
  expect(keys.map(variableName)).toContain('RECUE_MAX_CACHE_SIZE')
  const shorts = Object.values(ALL_OPTIONS).flatMap((spec) => ('short' in spec ? [spec.short] : []))
  expect(new Set(shorts).size).toBe(shorts.length)
})

test('a variable that is empty names no folder and no file, while an empty text is one', () => {
  const environment = { RECUE_CACHE_DIR: '', RECUE_REPORT: '', RECUE_SALT: '', RECUE_REMOTE: '' }
  const { values } = environmentLayer(ALL_OPTIONS, environment)
  expect(values).toEqual(
    new Map([
      ['salt', ['']],
      ['remote', ['']],
    ]),
  )
})

test('what a number, a size or a duration is by default is what its text means', () => {
  const table = {
    times: { kind: 'number', default: '3', summary: 'x' },
    wait: { kind: 'duration', default: '2s', summary: 'x' },
    room: { kind: 'size', default: '1KiB', summary: 'x' },
    none: { kind: 'number', summary: 'x' },
    word: { kind: 'text', default: '4', summary: 'x' },
  } as const
  expect(valuesOf<typeof table>(resolve(table, []))).toEqual({ times: 3, wait: 2_000, room: 1024, word: '4' })
})
