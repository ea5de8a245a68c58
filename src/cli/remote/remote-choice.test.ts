import { expect, test } from 'vitest'
import { ALL_OPTIONS, configLayer, environmentLayer, type Layer } from '../settings.ts'
import { remoteChoices } from './remote-choice.ts'

const flags = (values: Record<string, readonly string[]>): Layer => ({
  origin: 'flag',
  place: '',
  values: new Map(Object.entries(values)),
})
const variables = (said: Record<string, string>) => environmentLayer(ALL_OPTIONS, said)
const project = (said: Record<string, unknown>) => configLayer('project', '/p/recue.config.json', said)
const task = (said: Record<string, unknown>) => configLayer('task', '/p/recue.config.json: tasks.build', said)
const user = (said: Record<string, unknown>) => configLayer('user', '/home/u/.config/recue/config.json', said)
const choice = (...layers: Layer[]) => remoteChoices(layers, '/work')[0]

test('nobody names one', () => {
  expect(choice()).toBe(undefined)
  expect(choice(project({ tasks: {} }), user({ quiet: true }))).toBe(undefined)
})

test.each([
  ['user', [flags({ remote: ['grpc://a'] }), project({ remote: 'grpc://b' })], 'grpc://a', '--remote'],
  ['user', [variables({ RECUE_REMOTE: 'grpc://a' }), project({ remote: 'grpc://b' })], 'grpc://a', 'RECUE_REMOTE'],
  ['user', [user({ remote: 'grpc://a' })], 'grpc://a', '/home/u/.config/recue/config.json: remote'],
  ['checkout', [project({ remote: 'grpc://b' })], 'grpc://b', '/p/recue.config.json: remote'],
  [
    'checkout',
    [project({ remote: 'grpc://b' }), user({ remote: 'grpc://a' })],
    'grpc://b',
    '/p/recue.config.json: remote',
  ],
  // No task may name one; if one ever can, it is the checkout's word.
  ['checkout', [task({ remote: 'grpc://b' })], 'grpc://b', '/p/recue.config.json: tasks.build: remote'],
] as const)('it is the word of the %s', (namedBy, layers, address, place) => {
  expect(choice(...layers)).toMatchObject({ namedBy, address, place })
})

test('the user may name the very address that the checkout names, and then it is the user’s word', () => {
  expect(choice(flags({ remote: ['grpc://b'] }), project({ remote: 'grpc://b' }))).toMatchObject({ namedBy: 'user' })
})

test('an empty variable switches off what a config says: secrets are empty in forks', () => {
  expect(choice(variables({ RECUE_REMOTE: '' }), project({ remote: 'grpc://b' }), user({ remote: 'grpc://a' }))).toBe(
    undefined,
  )
})

const SECRET_KEYS = ['remoteTokenFile', 'remoteHelper', 'remoteCa', 'remoteCert', 'remoteKey'] as const

test.each(SECRET_KEYS)('a checkout has no say in %s, whatever lets it through the schema', (key) => {
  const named = user({ remote: 'grpc://a' })
  for (const layer of [project({ [key]: '/p/evil' }), task({ [key]: '/p/evil' })])
    expect(JSON.stringify(choice(layer, named))).not.toContain('evil')
})

test('files are found from where they were named; a helper may be a name', () => {
  expect(choice(flags({ remote: ['grpc://a'], remoteCa: ['ca.pem'], remoteHelper: ['helper'] }))).toMatchObject({
    ca: '/work/ca.pem',
    helper: 'helper',
  })
  expect(choice(user({ remote: 'grpc://a', remoteTokenFile: 'token', remoteHelper: './helper' }))).toMatchObject({
    tokenFile: '/home/u/.config/recue/token',
    helper: '/home/u/.config/recue/helper',
  })
})

test('several are one setting, whoever says it how, and each is asked for by its own address', () => {
  const said = [{ address: 'grpc://a' }, { address: 'grpc://b' }]
  for (const layer of [
    flags({ remote: ['grpc://a', 'grpc://b'] }),
    flags({ remote: ['grpc://a,grpc://b'] }),
    variables({ RECUE_REMOTE: 'grpc://a#weight=2, grpc://b#name=b' }),
    user({ remote: ['grpc://a', 'grpc://b'] }),
    user({ remote: 'grpc://a,grpc://b' }),
  ])
    expect(remoteChoices([layer, project({ remote: ['grpc://evil'] })], '/work')).toMatchObject(
      said.map((one) => ({ ...one, namedBy: 'user' })),
    )
  expect(remoteChoices([project({ remote: ['grpc://a', 'grpc://b'] })], '/work')).toMatchObject(
    said.map((one) => ({ ...one, namedBy: 'checkout' })),
  )
})
