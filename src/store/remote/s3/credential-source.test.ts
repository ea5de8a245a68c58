import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { faultyHttp } from '../fault-servers.fixture.ts'
import { type CredentialSource, credentialSource } from './credential-source.ts'
import { type Environment, parseS3, type S3Access } from './s3-address.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'recue-aws-'))
  mkdirSync(path.join(home, '.aws'))
})
afterEach(() => rmSync(home, { recursive: true }))

/** With nothing on this machine that would be asked besides. */
function sourceOf(more: Environment = {}, access: S3Access = {}, address = 's3://cache'): CredentialSource {
  const environment = { HOME: home, AWS_EC2_METADATA_DISABLED: 'true', ...more }
  return credentialSource(parseS3(address, { environment, ...access }), { environment, ...access })
}

const aws = (file: string, text: string) => writeFileSync(path.join(home, '.aws', file), text)
const key = (id: string) => ({ accessKeyId: id, secretAccessKey: `secret of ${id}` })
const lines = (id: string) => `aws_access_key_id = ${id}\naws_secret_access_key=secret of ${id} \n`
const variables = { AWS_ACCESS_KEY_ID: 'env', AWS_SECRET_ACCESS_KEY: 'secret of env' }
const lent = (id: string, more = {}) => JSON.stringify({ AccessKeyId: id, SecretAccessKey: `secret of ${id}`, ...more })

test('those that are given come before all others, and may be none', async () => {
  aws('credentials', `[its]\n${lines('its')}`)
  const own = { credentials: key('own') }
  expect(await sourceOf(variables, own, 's3://cache?profile=its').get()).toEqual(key('own'))
  expect(await sourceOf(variables, { credentials: 'none' }).get()).toBeUndefined()
})

test('a profile that is named comes before variables, and they before one that a variable names', async () => {
  aws('credentials', `[default]\n${lines('first')}[its]\n${lines('its')}[my]\n${lines('my')}`)
  expect(await sourceOf(variables, {}, 's3://cache?profile=its').get()).toMatchObject(key('its'))
  expect(await sourceOf(variables, { profile: 'my' }).get()).toMatchObject(key('my'))
  expect(await sourceOf({ ...variables, AWS_PROFILE: 'my' }).get()).toEqual(key('env'))
  expect(await sourceOf({ ...variables, AWS_SESSION_TOKEN: 't' }).get()).toEqual({ ...key('env'), sessionToken: 't' })
  expect(await sourceOf({ AWS_PROFILE: 'my' }).get()).toMatchObject(key('my'))
  expect(await sourceOf().get()).toMatchObject(key('first'))
  expect(await sourceOf({ AWS_ACCESS_KEY_ID: 'env', AWS_SECRET_ACCESS_KEY: '' }).get()).toMatchObject(key('first'))
})

test('files are read as Amazon’s tools write them, wherever they are', async () => {
  aws(
    'config',
    `# comment\r\n[profile  "a b"]\r\nregion = eu-west-1\r\ns3 =\r\n  aws_access_key_id = not this\r\n${lines('ab')}`,
  )
  expect(await sourceOf({ AWS_PROFILE: 'a b' }).get()).toMatchObject(key('ab'))
  aws('other', `[default]\n${lines('other')}aws_session_token = t=1\n`)
  const other = path.join(home, '.aws', 'other')
  expect(await sourceOf({ AWS_SHARED_CREDENTIALS_FILE: other }).get()).toEqual({ ...key('other'), sessionToken: 't=1' })
  expect(await sourceOf({ AWS_CONFIG_FILE: other }).get()).toMatchObject(key('other'))
})

test('a program that the profile names is asked, and what it prints in vain is not repeated', async () => {
  const print = (text: string) => `credential_process = printf '%s' '${text}'\n`
  aws(
    'config',
    `[profile good]\n${print(lent('its', { Version: 1, SessionToken: 't' }))}[profile bad]\n${print('a secret')}`,
  )
  expect(await sourceOf({ AWS_PROFILE: 'good', PATH: process.env.PATH }).get()).toMatchObject({
    ...key('its'),
    sessionToken: 't',
  })
  const told = await sourceOf({ AWS_PROFILE: 'bad', PATH: process.env.PATH })
    .get()
    .catch((error) => error)
  expect(told).toMatchObject({ code: 'remote.denied' })
  expect(`${told.message} ${told.hint} ${told.cause}`).not.toMatch(/a secret|printf/)
})

test('where there are none that is said, with what to do', async () => {
  const none = sourceOf()
  const told = {
    code: 'remote.denied',
    message: expect.stringContaining('s3://cache'),
    hint: expect.stringContaining('AWS_PROFILE'),
  }
  await expect(none.get()).rejects.toMatchObject(told)
  aws('credentials', `[default]\n${lines('later')}`)
  expect(await none.get()).toMatchObject(key('later'))
})

test('a container is lent some, and shows its token', async () => {
  await using server = await faultyHttp((request, response) => {
    const isIts = request.url === '/creds?a=1' && request.headers.authorization === 'its token'
    response.writeHead(isIts ? 200 : 403).end(lent('task', { Token: 't', Expiration: '2100-01-01T00:00:00Z' }))
  })
  const url = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.address}/creds?a=1` }
  const expected = { ...key('task'), sessionToken: 't' }
  expect(await sourceOf({ ...url, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'its token' }).get()).toMatchObject(expected)
  aws('token', 'its token\n')
  const file = { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: path.join(home, '.aws', 'token') }
  expect(await sourceOf({ ...url, ...file }).get()).toMatchObject(expected)
  await expect(sourceOf(url).get()).rejects.toMatchObject({ code: 'remote.denied' })
  const count = server.asked.length
  const elsewhere = {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: url.AWS_CONTAINER_CREDENTIALS_FULL_URI.replace('127.0.0.1', 'recue.invalid'),
  }
  await expect(sourceOf(elsewhere).get()).rejects.toMatchObject({ code: 'remote.denied' })
  expect(server.asked).toHaveLength(count)
})

test('a machine is lent some for a bucket of Amazon’s, and asked for no other', async () => {
  await using server = await faultyHttp((request, response) => {
    const isPut = request.method === 'PUT' && request.headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined
    if (isPut) return response.end('session')
    if (request.headers['x-aws-ec2-metadata-token'] !== 'session') return response.writeHead(401).end()
    return response.end(request.url?.endsWith('/') ? 'builder\n' : lent('machine', { Token: 't' }))
  })
  const machine = { AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: server.address }
  expect(await sourceOf(machine).get()).toMatchObject({ ...key('machine'), sessionToken: 't' })
  expect(server.asked).toEqual([
    'PUT /latest/api/token',
    'GET /latest/meta-data/iam/security-credentials/',
    'GET /latest/meta-data/iam/security-credentials/builder',
  ])
  await expect(sourceOf(machine, {}, 's3://cache?endpoint=http://127.0.0.1:9').get()).rejects.toMatchObject({
    code: 'remote.denied',
  })
  await expect(sourceOf({ ...machine, AWS_EC2_METADATA_DISABLED: 'true' }).get()).rejects.toMatchObject({
    code: 'remote.denied',
  })
  expect(server.asked).toHaveLength(3)
})

test('they are looked for once, again before they end, and again when they were not right', async () => {
  let lentTimes = 0
  let expiresMs = Date.now() + 3_600_000
  await using server = await faultyHttp((_, response) =>
    response.end(lent(`${++lentTimes}`, { Expiration: new Date(expiresMs).toISOString() })),
  )
  const source = sourceOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: server.address })
  const [first, same] = await Promise.all([source.get(), source.get()])
  expect([first?.accessKeyId, same?.accessKeyId, (await source.get())?.accessKeyId]).toEqual(['1', '1', '1'])
  source.renew()
  expiresMs = Date.now() + 60_000
  expect((await source.get())?.accessKeyId).toBe('2')
  expect((await source.get())?.accessKeyId).toBe('3')
  await expect(source.get(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
})
