import { expect, test } from 'vitest'
import { sha256Hex } from '../../../digest/sha256.ts'
import { encodedPath, encodedQuery, Signer, type UnsignedRequest } from './sigv4.ts'

/** The examples of Amazon's "Signature Calculations for the Authorization Header", with the keys that it gives. */
const CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const NOW = new Date('2013-05-24T00:00:00Z')
const EMPTY = sha256Hex('')
const GET = { method: 'GET', host: 'examplebucket.s3.amazonaws.com', query: '', headers: {}, payloadHash: EMPTY }

test.each<[string, UnsignedRequest, string, string]>([
  [
    'a part of an object',
    { ...GET, path: '/test.txt', headers: { range: 'bytes=0-9' } },
    'host;range;x-amz-content-sha256;x-amz-date',
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ],
  [
    'an object that is put',
    {
      ...GET,
      method: 'PUT',
      path: `/${encodedPath('test$file.text')}`,
      headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
      payloadHash: sha256Hex('Welcome to Amazon S3.'),
    },
    'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
  [
    'a parameter with no value',
    { ...GET, path: '/', query: encodedQuery({ lifecycle: '' }) },
    'host;x-amz-content-sha256;x-amz-date',
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  ],
  [
    'parameters, in their order',
    { ...GET, path: '/', query: encodedQuery({ prefix: 'J', 'max-keys': '2' }) },
    'host;x-amz-content-sha256;x-amz-date',
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
])('signs %s as Amazon says', (_, request, names, signature) => {
  const { authorization } = new Signer('us-east-1').sign(request, CREDENTIALS, NOW)
  const scope = `${CREDENTIALS.accessKeyId}/20130524/us-east-1/s3/aws4_request`
  expect(authorization).toBe(`AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${names},Signature=${signature}`)
})

test('signs with the key of the day and of the secret, and shows the token of a session', () => {
  const signer = new Signer('us-east-1')
  const request = { ...GET, path: '/' }
  const signed = (credentials: Parameters<Signer['sign']>[1], now: Date) => signer.sign(request, credentials, now)
  const first = signed(CREDENTIALS, NOW)
  const tomorrow = new Date(NOW.getTime() + 86_400_000)
  for (const [credentials, now] of [
    [CREDENTIALS, tomorrow],
    [{ ...CREDENTIALS, secretAccessKey: 'another' }, NOW],
  ] as const) {
    const other = signed(credentials, now)
    expect(other).toEqual(new Signer('us-east-1').sign(request, credentials, now))
    expect(other.authorization).not.toBe(first.authorization)
  }
  expect(signed(CREDENTIALS, NOW)).toEqual(first)
  const lent = signed({ ...CREDENTIALS, sessionToken: 'of a session' }, NOW)
  expect(lent['x-amz-security-token']).toBe('of a session')
  expect(lent.authorization).toContain('x-amz-date;x-amz-security-token,')
})

test('encodes all but unreserved characters, once', () => {
  expect(encodedPath("a b/ü~!'()*%/$&=+@:;,?")).toBe('a%20b/%C3%BC~%21%27%28%29%2A%25/%24%26%3D%2B%40%3A%3B%2C%3F')
  expect(encodedQuery({ b: 'x/y', 'a-b': '', a: '1' })).toBe('a-b=&a=1&b=x%2Fy')
})
