import { expect, it } from 'vitest'
import { EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode } from '../../grpc/status.ts'
import { DigestFunction_Value } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { blobDigestArgument, checkDigestFunction, digestArgument } from './digest-argument.ts'

const digest = digestOf(Buffer.from('some'))
const code = GrpcCode.INVALID_ARGUMENT
const UPPER = digest.hash.toUpperCase()

it('takes SHA-256, said or not', () => {
  checkDigestFunction(DigestFunction_Value.SHA256)
  checkDigestFunction(DigestFunction_Value.UNKNOWN)
  expect(digestArgument(digest, 'it')).toBe(digest)
  expect(blobDigestArgument(digest, 'it')).toBe(digest)
  expect(blobDigestArgument(EMPTY_DIGEST, 'it')).toBe(EMPTY_DIGEST)
})

it.each([
  ['BLAKE3', DigestFunction_Value.BLAKE3],
  ['SHA256TREE', DigestFunction_Value.SHA256TREE],
  ['an unknown function', 99 as DigestFunction_Value],
])('refuses %s by name', (name, value) => {
  expect(() => checkDigestFunction(value)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(name) }),
  )
})

it.each([
  ['upper case', UPPER],
  ['too short', digest.hash.slice(1)],
  ['too long', `${digest.hash}0`],
  ['no hexadecimal', `g${digest.hash.slice(1)}`],
  ['nothing', ''],
  ['a second line', `${digest.hash}\n`],
  ['a path', `../${digest.hash.slice(3)}`],
])('refuses a hash: %s', (_, hash) => {
  expect(() => digestArgument({ hash, sizeBytes: 4 }, 'The digest of it')).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(/^The digest of it has a hash/) }),
  )
})

it('refuses no digest, a negative size, and a blob of no bytes by another name', () => {
  expect(() => digestArgument(undefined, 'it')).toThrow(expect.objectContaining({ code }))
  expect(() => digestArgument({ ...digest, sizeBytes: -1 }, 'it')).toThrow(expect.objectContaining({ code }))
  expect(() => blobDigestArgument({ ...digest, sizeBytes: 0 }, 'it')).toThrow(expect.objectContaining({ code }))
  expect(digestArgument({ ...digest, sizeBytes: 0 }, 'it').sizeBytes).toBe(0)
})
