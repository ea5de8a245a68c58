import { chmodSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { credentialsFile, readCredentials, saveCredentials } from './credentials-file.ts'
import { accessTo } from './remote-access.ts'
import type { RemoteChoice } from './remote-choice.ts'

let folder: string
let environment: Readonly<Record<string, string>>
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'recue-remote-access-')))
  environment = { XDG_CONFIG_HOME: folder }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const login = (origin: string, credentials: Parameters<typeof saveCredentials>[2]) =>
  saveCredentials(credentialsFile(environment), origin, credentials)

function named(by: RemoteChoice['namedBy'], address: string, more: Partial<RemoteChoice> = {}): RemoteChoice {
  const own = { tokenFile: undefined, helper: undefined, ca: undefined, cert: undefined, key: undefined }
  return { address, namedBy: by, place: 'somewhere', ...own, ...more }
}

/** Prints the request and where it was started, as a header. */
function helper(answer: string): string {
  const file = join(folder, 'helper')
  writeFileSync(file, `#!/bin/sh\nread -r request\n${answer}\n`)
  chmodSync(file, 0o755)
  return file
}

test('a checkout’s remote is not used before its user logged in to it', () => {
  login('grpcs://cache:443', { token: 'secret' })
  for (const address of [
    ...[
      'grpcs://evil',
      'grpcs://cache:444',
      'grpc://cache:443',
      'https://cache',
      'grpcs://cache.evil',
      'unix:/cache:443',
    ],
    ...['grpcs://cache:443@evil', 'grpcs://evil#cache:443', 'grpcs://evil?cache:443', 'https://evil/cache:443'],
  ])
    expect(() => accessTo(named('checkout', address), environment)).toThrow(
      expect.objectContaining({ code: 'remote.untrusted', message: expect.not.stringContaining('secret') }),
    )
})

test('then it is shown what was given at the login, however the address is written', () => {
  login('grpcs://cache:443', { token: 'of-login' })
  for (const address of ['grpcs://cache', 'GRPCS://CACHE:443/', 'grpcs://cache.'])
    expect(accessTo(named('checkout', address), environment)).toMatchObject({
      token: 'of-login',
      source: 'recue login',
    })
})

test('nothing else that the user has for other servers is shown to it', () => {
  login('grpcs://cache:443', {})
  writeFileSync(join(folder, 'token'), 'of-file')
  writeFileSync(join(folder, 'cert'), 'CERT')
  const all = {
    ...{ tokenFile: join(folder, 'token'), helper: helper('echo "{}"') },
    ...{ ca: join(folder, 'cert'), cert: join(folder, 'cert'), key: join(folder, 'cert') },
  }
  const access = accessTo(named('checkout', 'grpcs://cache', all), {
    ...environment,
    RECUE_REMOTE_TOKEN: 'of-variable',
  })
  expect(access).toEqual({ source: undefined, tls: {}, s3: { credentials: 'none' } })
})

test('the keys that lie about for Amazon’s own tools go to a bucket that the user named, and to none that a checkout did', () => {
  const address = 's3://cache/team?region=eu-west-1&profile=mine'
  expect(accessTo(named('user', address), environment).s3).toBeUndefined()
  expect(() => accessTo(named('checkout', address), environment)).toThrow(/^s3:\/\/cache\/team is not used/)
  login('s3:https://cache.s3.eu-west-1.amazonaws.com', {})
  expect(accessTo(named('checkout', address), environment).s3).toEqual({ credentials: 'none' })
  expect(() => accessTo(named('checkout', `${address}&endpoint=https://evil`), environment)).toThrow(/is not used/)
})

test('a checkout’s address with a password of its own is not used, even where the server is trusted: it would be another’s account', () => {
  login('grpcs://cache:443', { token: 'of-login' })
  for (const address of ['grpcs://any:theirs@cache', 'grpcs://any@cache', 'grpcs://@cache'])
    expect(() => accessTo(named('checkout', address), environment)).toThrow(
      expect.objectContaining({ code: 'remote.untrusted', message: expect.not.stringContaining('theirs') }),
    )
})

test('to an address of the user’s own: the variable, the file, the helper, the login, in this order', async () => {
  login('grpcs://cache:443', { token: 'of-login' })
  writeFileSync(join(folder, 'token'), 'of-file\n')
  const tokenFile = join(folder, 'token')
  const program = helper('echo "{}"')
  const access = (more: Partial<RemoteChoice>, variables = {}) =>
    accessTo(named('user', 'grpcs://cache', more), { ...environment, ...variables })
  const all = { tokenFile, helper: program }
  expect(access(all, { RECUE_REMOTE_TOKEN: ' of-variable\n' })).toMatchObject({ token: 'of-variable' })
  expect(access(all, { RECUE_REMOTE_TOKEN: '' })).toMatchObject({ token: 'of-file', source: tokenFile })
  expect(access({ helper: program })).toMatchObject({ source: program })
  expect(access({ helper: program }).token).toBe(undefined)
  expect(access({})).toMatchObject({ token: 'of-login' })
  expect(accessTo(named('user', 'grpcs://other'), environment)).toEqual({ source: undefined, tls: {} })
})

test('a token that is none is not repeated', () => {
  expect(() => accessTo(named('user', 'grpc://cache'), { ...environment, RECUE_REMOTE_TOKEN: 'two words' })).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.not.stringContaining('two') }),
  )
})

test('a helper is asked once until its headers expire, for this server, from no checkout', async () => {
  const soon = new Date(Date.now() + 60_000).toISOString()
  const program = helper(
    `echo asked >>'${folder}/asked'; echo "{\\"headers\\":{\\"X-Asked\\":[\\"$(echo "$request" | tr -d '\\"') $PWD\\"]},\\"expires\\":\\"${soon}\\"}"`,
  )
  const { freshHeaders } = accessTo(named('user', 'grpcs://cache:9092', { helper: program }), environment)
  const [first, second] = await Promise.all([freshHeaders?.(), freshHeaders?.()])
  expect(first).toEqual({ 'x-asked': `{uri:https://cache:9092/} ${process.env.HOME}` })
  expect(second).toBe(first)
  expect(statSync(join(folder, 'asked')).size).toBe('asked\n'.length)
})

test('headers that have expired are asked for again', async () => {
  const program = helper(`echo asked >>'${folder}/asked'; echo '{"headers":{},"expires":"2020-01-01T00:00:00Z"}'`)
  const { freshHeaders } = accessTo(named('user', 'grpcs://cache', { helper: program }), environment)
  await freshHeaders?.()
  await freshHeaders?.()
  expect(statSync(join(folder, 'asked')).size).toBe(2 * 'asked\n'.length)
})

test('a helper that failed is asked again', async () => {
  const program = helper(`test -e '${folder}/asked' && echo '{}' && exit; touch '${folder}/asked'; exit 1`)
  const { freshHeaders } = accessTo(named('user', 'grpcs://cache', { helper: program }), environment)
  await expect(freshHeaders?.()).rejects.toMatchObject({ code: 'remote.denied' })
  expect(await freshHeaders?.()).toEqual({})
})

test.each([
  ['exit 3', 'ended with 3'],
  ['echo no key >&2; exit 1', 'ended with 1: no key'],
  ['echo nothing', 'none by the protocol'],
  [`echo '{"headers":{"a":"b"}}'`, 'no list of proper texts'],
  [`printf '{"headers":{"a":["b\\\\r\\\\nc: d"]}}'`, 'no list of proper texts'],
  [`echo '{"headers":{"a b":["c"]}}'`, 'no proper name'],
  [`echo '{"headers":{},"expires":"soon"}'`, 'no time'],
])('a helper that does "%s" is told of', async (script, what) => {
  const { freshHeaders } = accessTo(named('user', 'grpcs://cache', { helper: helper(script) }), environment)
  await expect(freshHeaders?.()).rejects.toMatchObject({
    code: 'remote.denied',
    message: expect.stringContaining(what),
  })
})

test('what is kept is for nobody else to read, and what others could read is not used', () => {
  const file = credentialsFile(environment)
  login('grpc://cache:80', { token: 'secret' })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readCredentials(file)).toEqual(new Map([['grpc://cache:80', { token: 'secret' }]]))
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(file, mode)
    expect(() => readCredentials(file)).toThrow(
      expect.objectContaining({ code: 'config.invalid', hint: expect.stringContaining('chmod 600') }),
    )
  }
})

test('one server is forgotten, and the others stay', () => {
  const file = credentialsFile(environment)
  login('grpc://a:80', { token: '1' })
  login('grpc://b:80', {})
  login('grpc://a:80', undefined)
  expect([...readCredentials(file).keys()]).toEqual(['grpc://b:80'])
})

test.each(['[]x', '{"a": 1}', '{"a": {"token": 1}}', '{"a": null}'])(
  '%s is no file of credentials, and nothing of it is used',
  (text) => {
    const file = credentialsFile(environment)
    login('grpc://a:80', {})
    writeFileSync(file, text)
    expect(() => readCredentials(file)).toThrow(expect.objectContaining({ code: 'config.invalid' }))
  },
)
