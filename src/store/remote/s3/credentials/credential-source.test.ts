import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { faultyHttp, faultyPort } from '../../fault-servers.fixture.ts'
import { type Environment, parseS3, type S3Access } from '../s3-address.ts'
import { credentialSource } from './credential-source.ts'
import type { KeptCredentials } from './kept-credentials.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'recue-aws-'))
  mkdirSync(path.join(home, '.aws'))
})
afterEach(() => rmSync(home, { recursive: true }))

/** With nothing on this machine that would be asked besides. */
function sourceOf(more: Environment = {}, access: S3Access = {}, address = 's3://cache'): KeptCredentials {
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

test('an end that cannot be read is none', async () => {
  await using server = await faultyHttp((_, response) => response.end(lent('task', { Token: '', Expiration: 'soon' })))
  const task = { ...key('task'), sessionToken: undefined, expiresMs: undefined }
  expect(await sourceOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: server.address }).get()).toEqual(task)
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
  const message = expect.stringMatching(/^what lends credentials at 127\.0\.0\.1:\d+ gave no credentials: HTTP 403/)
  await expect(sourceOf(url).get()).rejects.toMatchObject({ code: 'remote.denied', message })
  const gone = { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: path.join(home, 'none') }
  await expect(sourceOf({ ...url, ...gone }).get()).rejects.toMatchObject({
    code: 'remote.denied',
    message: expect.stringContaining('TOKEN_FILE cannot be read (ENOENT)'),
  })
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '[::1]'])
    await expect(sourceOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${host}:9/` }).get()).rejects.toMatchObject({
      code: 'remote.unreachable',
    })
})

test.each([
  'http://recue.invalid/creds',
  'http://169.254.170.3/creds',
  'http://127.0.0.1.recue.invalid/',
  'ftp://127.0.0.1/',
  'not an address',
])('a container is shown its token by nobody at %s', async (url) => {
  const token = { AWS_CONTAINER_AUTHORIZATION_TOKEN: 'a secret' }
  const told = await sourceOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url, ...token })
    .get()
    .catch((error) => error)
  expect(told).toMatchObject({ code: 'remote.denied', message: expect.stringMatching(/FULL_URI leads to where/) })
  expect(`${told.message} ${told.hint}`).not.toContain('a secret')
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
  await expect(sourceOf({ ...machine, AWS_EC2_METADATA_DISABLED: 'True' }).get()).rejects.toMatchObject({
    code: 'remote.denied',
  })
  expect(server.asked).toHaveLength(3)
})

test('a machine’s service that is none, or has no role, is as if there were no such service', async () => {
  await using server = await faultyHttp((request, response) =>
    request.method === 'PUT' ? response.end('session') : response.writeHead(404).end('<html>'),
  )
  for (const service of [server.address, 'http://127.0.0.1:9', 'nowhere'])
    await expect(
      sourceOf({ AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: service }).get(),
    ).rejects.toMatchObject({ code: 'remote.denied', message: expect.stringMatching(/^No credentials for s3:/) })
  expect(server.asked).toHaveLength(2)
})

describe('a role', () => {
  const arn = 'arn:aws:iam::1:role/builder'
  const answered = (id: string) =>
    `<AssumeRoleResponse><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>secret of ${id}</SecretAccessKey>` +
    '<SessionToken>s+/=</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResponse>'
  const lentOnes = { ...key('role'), sessionToken: 's+/=', expiresMs: Date.parse('2100-01-01T00:00:00Z') }

  /** What gives roles away, and what it was asked: the form, and the words of who asks. */
  async function roles(status = 200, text = answered('role')) {
    const asked: { form: Record<string, string>; by: string }[] = []
    const server = await faultyHttp(async (request, response) => {
      const form = Object.fromEntries(new URLSearchParams(Buffer.concat(await request.toArray()).toString()))
      asked.push({ form, by: request.headers.authorization ?? '' })
      response.writeHead(status).end(text)
    })
    return { ...server, asked, environment: { AWS_ENDPOINT_URL_STS: server.address, AWS_REGION: 'eu-west-1' } }
  }

  const web = (more: Environment = {}) => {
    aws('token', 'a.web.token\n')
    return { AWS_WEB_IDENTITY_TOKEN_FILE: path.join(home, '.aws', 'token'), AWS_ROLE_ARN: arn, ...more }
  }

  test('is played by who has a web identity, before what files say and after what variables do', async () => {
    await using sts = await roles()
    aws('credentials', `[default]\n${lines('first')}`)
    expect(await sourceOf({ ...web(), ...sts.environment }).get()).toEqual(lentOnes)
    const { RoleSessionName, ...form } = sts.asked[0]?.form ?? {}
    expect(form).toEqual({
      ...{ Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15' },
      ...{ RoleArn: arn, WebIdentityToken: 'a.web.token' },
    })
    expect(RoleSessionName).toMatch(/^recue-\d+$/)
    expect(sts.asked[0]?.by).toBe('')
    await sourceOf({ ...web({ AWS_ROLE_SESSION_NAME: 'ours' }), ...sts.environment }).get()
    expect(sts.asked[1]?.form.RoleSessionName).toBe('ours')
    expect(await sourceOf({ ...web(), ...sts.environment, ...variables }).get()).toMatchObject(key('env'))
    expect(await sourceOf({ ...web({ AWS_ROLE_ARN: '' }), ...sts.environment }).get()).toMatchObject(key('first'))
    expect(sts.asked).toHaveLength(2)
  })

  test.each([
    [400, 'ExpiredTokenException', 'remote.denied', /ExpiredTokenException \(HTTP 400\)/],
    [403, 'AccessDenied', 'remote.denied', /AccessDenied \(HTTP 403\)/],
    [503, '', 'remote.unreachable', /: HTTP 503/],
    [429, 'Throttling', 'remote.unreachable', /Throttling \(HTTP 429\)/],
    [200, '', 'remote.denied', /: HTTP 200/],
  ])('that is not given (HTTP %i %s) is told with why, and with no secret', async (status, code, kind, message) => {
    const words = code && `<Error><Code>${code}</Code><Message>a.web.token</Message></Error>`
    await using sts = await roles(status, words)
    const told = await sourceOf({ ...web(), ...sts.environment })
      .get()
      .catch((error) => error)
    expect(told).toMatchObject({ code: kind, message: expect.stringMatching(message) })
    expect(`${told.message} ${told.hint} ${JSON.stringify(told.context)}`).not.toContain('a.web.token')
  })

  test.each([
    [{}, '', 'us-east-1', ''],
    [{ AWS_DEFAULT_REGION: 'eu-west-1' }, '', 'eu-west-1', ''],
    [{ AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'x' }, '?region=eu-central-1', 'eu-west-1', ''],
    [{}, '?region=cn-north-1', 'cn-north-1', '.cn'],
  ])('is asked for in the region, by the proxy: %j %s', async (environment, query, region, suffix) => {
    const asked: string[] = []
    await using proxy = await faultyPort((socket) =>
      socket.once('data', (words) => {
        asked.push(String(words).split(' HTTP', 1)[0] as string)
        socket.destroy()
      }),
    )
    const more = { ...environment, HTTPS_PROXY: `http://${proxy.address}` }
    await expect(sourceOf(web(more), {}, `s3://cache${query}`).get()).rejects.toMatchObject({
      code: 'remote.unreachable',
    })
    expect(asked).toEqual([`CONNECT sts.${region}.amazonaws.com${suffix}:443`])
  })

  test('is asked for where all of Amazon’s services are said to be', async () => {
    await using sts = await roles()
    expect(await sourceOf(web({ AWS_ENDPOINT_URL: sts.address })).get()).toEqual(lentOnes)
  })

  test('whose token cannot be read is told', async () => {
    const gone = { AWS_WEB_IDENTITY_TOKEN_FILE: path.join(home, 'none'), AWS_ROLE_ARN: arn }
    await expect(sourceOf(gone).get()).rejects.toMatchObject({
      code: 'remote.denied',
      message: expect.stringMatching(/none cannot be read \(ENOENT\)/),
    })
  })

  test('of a profile is played by another profile’s keys, in its own region and by its own words', async () => {
    await using sts = await roles()
    aws('credentials', `[base]\n${lines('base')}aws_session_token = t\n`)
    aws(
      'config',
      `[profile its]\nrole_arn = ${arn}\nsource_profile = base\nrole_session_name = s\nexternal_id = e\n` +
        'duration_seconds = 900\nregion = ap-south-1\n',
    )
    expect(await sourceOf({ ...sts.environment, AWS_PROFILE: 'its' }).get()).toEqual(lentOnes)
    const [{ form, by } = { form: {}, by: '' }] = sts.asked
    expect(form).toEqual({
      ...{ Action: 'AssumeRole', Version: '2011-06-15', RoleArn: arn },
      ...{ RoleSessionName: 's', ExternalId: 'e', DurationSeconds: '900' },
    })
    expect(by).toMatch(
      /^AWS4-HMAC-SHA256 Credential=base\/\d{8}\/ap-south-1\/sts\/aws4_request,SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*x-amz-security-token,/,
    )
  })

  test('of a profile is played by its own keys, by a chain of profiles, or by what variables or a container have', async () => {
    await using sts = await roles()
    await using lender = await faultyHttp((_, response) => response.end(lent('task')))
    const role = (more: string) => `role_arn = ${arn}\n${more}\n`
    aws(
      'config',
      [
        `[profile self]\n${role('source_profile = self')}${lines('self')}`,
        `[profile chain]\n${role('source_profile = middle')}[profile middle]\n${role('source_profile = self')}`,
        `[profile vars]\n${role('credential_source = Environment')}`,
        `[profile task]\n${role('credential_source = EcsContainer')}`,
        `[profile web]\n${role(`web_identity_token_file = ${web().AWS_WEB_IDENTITY_TOKEN_FILE}`)}`,
      ].join('\n'),
    )
    const environment = {
      ...{ ...sts.environment, ...variables, AWS_SESSION_TOKEN: 't' },
      AWS_CONTAINER_CREDENTIALS_FULL_URI: lender.address,
    }
    const playedBy = async (profile: string) => {
      const before = sts.asked.length
      expect(await sourceOf(environment, { profile }).get()).toEqual(lentOnes)
      return sts.asked.slice(before).map(({ by }) => /Credential=(\w+)/.exec(by)?.[1])
    }
    expect(await playedBy('self')).toEqual(['self'])
    expect(await playedBy('chain')).toEqual(['self', 'role', 'role'])
    expect(await playedBy('vars')).toEqual(['env'])
    expect(await playedBy('task')).toEqual(['task'])
    expect(await playedBy('web')).toEqual([undefined])
  })

  test.each([
    ['role_arn = r\nsource_profile = other\n[profile other]\nrole_arn = r\nsource_profile = its', /leads back to it/],
    ['role_arn = r\nsource_profile = none', /nothing has credentials to play/],
    ['role_arn = r', /nothing has credentials to play/],
    ['role_arn = r\nsource_profile = its\nmfa_serial = m', /mfa_serial is not supported/],
    ['sso_session = s', /sso_session is not supported/],
    ['sso_start_url = https://x.invalid', /sso_start_url is not supported/],
  ])('or a sign-in that is not known here is told, and none other is taken instead: %s', async (text, message) => {
    aws('config', `[profile its]\n${text}\n`)
    const container = { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:9/' }
    await expect(sourceOf({ ...container, AWS_PROFILE: 'its' }).get()).rejects.toMatchObject({
      code: 'remote.denied',
      message: expect.stringMatching(message),
    })
  })
})

test('a program is not started in the checkout', async () => {
  aws('config', `[default]\ncredential_process = printf '{"AccessKeyId":"%s","SecretAccessKey":"x"}' "$PWD"\n`)
  expect(await sourceOf({ PATH: process.env.PATH }).get()).toMatchObject({ accessKeyId: '/' })
})
