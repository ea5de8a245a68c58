import { expect, test } from 'vitest'
import { CacheError } from '../../../errors.ts'
import { openRemote } from '../open-remote.ts'
import { parseS3, type S3Access } from './s3-address.ts'

const NONE = { environment: {} }
const parsed = (text: string, access: S3Access = NONE) => {
  const { url, ...rest } = parseS3(text, access)
  return { url: url.href, ...rest }
}

test.each([
  ['s3://cache', 'https://cache.s3.us-east-1.amazonaws.com/', 'us-east-1', '', 's3://cache'],
  [
    'S3://cache/team/ci/?region=eu-west-1',
    'https://cache.s3.eu-west-1.amazonaws.com/',
    'eu-west-1',
    'team/ci/',
    's3://cache/team/ci',
  ],
  ['s3://cache?region=cn-north-1', 'https://cache.s3.cn-north-1.amazonaws.com.cn/', 'cn-north-1', '', 's3://cache'],
  ['s3://our.cache', 'https://s3.us-east-1.amazonaws.com/our.cache', 'us-east-1', '', 's3://our.cache'],
  [
    's3://cache/a%20b?endpoint=http://127.0.0.1:9000',
    'http://127.0.0.1:9000/cache',
    'us-east-1',
    'a b/',
    's3://cache/a b at http://127.0.0.1:9000',
  ],
  [
    's3://cache?endpoint=store.example/base/&addressing_style=virtual',
    'https://cache.store.example/base/',
    'us-east-1',
    '',
    's3://cache at https://store.example',
  ],
  ['s3://cache?addressing_style=path', 'https://s3.us-east-1.amazonaws.com/cache', 'us-east-1', '', 's3://cache'],
])('%s is an address of a bucket', (text, url, region, prefix, place) => {
  expect(parsed(text)).toMatchObject({ region, prefix, place })
  expect(parsed(text).url.replace(/\/$/, '')).toBe(url.replace(/\/$/, ''))
})

test('what the address does not say, options do, and then variables', () => {
  const environment = {
    AWS_REGION: 'eu-north-1',
    AWS_DEFAULT_REGION: 'eu-north-2',
    AWS_ENDPOINT_URL: 'https://all.example',
    AWS_ENDPOINT_URL_S3: 'https://one.example',
  }
  expect(parsed('s3://cache', { environment })).toMatchObject({
    region: 'eu-north-1',
    url: 'https://one.example/cache',
  })
  const { AWS_DEFAULT_REGION, AWS_ENDPOINT_URL } = environment
  const fewer = { environment: { AWS_REGION: '', AWS_DEFAULT_REGION, AWS_ENDPOINT_URL } }
  expect(parsed('s3://cache', fewer)).toMatchObject({ region: 'eu-north-2', url: 'https://all.example/cache' })
  const options = { environment, region: 'here', endpoint: 'http://here.example', profile: 'mine' }
  expect(parsed('s3://cache', options)).toMatchObject({
    region: 'here',
    url: 'http://here.example/cache',
    profile: 'mine',
  })
  const address = 's3://cache?region=there&endpoint=http://there.example&profile=its'
  expect(parsed(address, options)).toMatchObject({ region: 'there', url: 'http://there.example/cache', profile: 'its' })
})

test.each([
  's3://',
  's3:/cache',
  's3://a',
  's3:///cache',
  's3://c_che!',
  's3://KEY:secret@cache',
  's3://cache?endpoint=ftp://secret',
  's3://cache?endpoint=http://key:secret@host',
  's3://cache?endpoint=http://host?secret=1',
  's3://cache?secret=x',
  's3://cache?addressing_style=odd',
  's3://cache/%zz?x=secret',
])('"%s" is none, and no secret is repeated', async (text) => {
  const told = await openRemote(text).then(
    () => undefined,
    (error: CacheError) => error,
  )
  expect(told).toBeInstanceOf(CacheError)
  expect(told?.code).toBe('usage')
  expect(`${told?.message} ${told?.hint} ${JSON.stringify(told?.context)}`).not.toMatch(
    /secret@|=secret|:secret|\/secret/,
  )
})

test('a token is an access key with its secret', async () => {
  await using _ = await openRemote('s3://cache', { token: 'ID:a/secret+:a:session' })
  await expect(openRemote('s3://cache', { token: 'only-one-word' })).rejects.toMatchObject({
    code: 'usage',
    message: expect.not.stringContaining('only-one-word'),
  })
})
