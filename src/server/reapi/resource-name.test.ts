import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode } from '../../grpc/status.ts'
import { type BlobResource, blobResource, uploadResource } from './resource-name.ts'

const { hash } = digestOf(Buffer.from('some'))
const code = GrpcCode.INVALID_ARGUMENT

const keywords = ['blobs', 'uploads', 'actions', 'actionResults', 'operations', 'capabilities', 'compressed-blobs']
const segment = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  .filter((text) => !text.includes('/') && !keywords.includes(text))
const resource = fc.record({
  instance: fc.array(segment, { maxLength: 4 }).map((segments) => segments.join('/')),
  digest: fc.uint8Array({ minLength: 1, maxLength: 9 }).map(digestOf),
  compressor: fc.constantFrom('identity' as const, 'zstd' as const),
})

function nameOf({ instance, digest, compressor }: BlobResource, before: string, digestFunction: string): string {
  const kind = compressor === 'identity' ? 'blobs' : 'compressed-blobs/zstd'
  return `${instance}${instance && '/'}${before}${kind}/${digestFunction}${digest.hash}/${digest.sizeBytes}`
}

it('reads what a name says, with and without instance and digest function', () => {
  fc.assert(
    fc.property(resource, fc.constantFrom('', 'sha256/'), (blob, digestFunction) => {
      expect(blobResource(nameOf(blob, '', digestFunction))).toEqual(blob)
    }),
  )
})

it('reads the name of an upload, whatever stands behind it', () => {
  const behind = fc.array(fc.oneof(segment, fc.constantFrom(...keywords)), { maxLength: 3 })
  fc.assert(
    fc.property(resource, segment, behind, fc.constantFrom('', 'sha256/'), (blob, uuid, metadata, digestFunction) => {
      const name = [nameOf(blob, `uploads/${uuid}/`, digestFunction), ...metadata].join('/')
      expect(uploadResource(name)).toEqual({ ...blob, uuid })
    }),
  )
})

it('takes sizes up to what a number holds, and the empty blob', () => {
  expect(blobResource(`blobs/${hash}/${Number.MAX_SAFE_INTEGER}`).digest.sizeBytes).toBe(Number.MAX_SAFE_INTEGER)
  expect(blobResource(`blobs/${EMPTY_DIGEST.hash}/0`).digest).toEqual(EMPTY_DIGEST)
})

it.each([
  '',
  '/',
  'blobs',
  `blobs/${hash}`,
  `blobs/${hash}/`,
  `blobs/${hash}/4/`,
  `blobs/${hash}/4/more`,
  `blobs/${hash}/-4`,
  `blobs/${hash}/04`,
  `blobs/${hash}/4x`,
  `blobs/${hash}/9007199254740992`,
  `blobs/${hash}/99999999999999999999`,
  `blobs/${hash}/0`,
  `blobs/${hash.toUpperCase()}/4`,
  `blobs/${hash.slice(1)}/4`,
  `blobs/blake3/${hash}/4`,
  `blobs/sha1/${hash}/4`,
  `blobs/nonsense/${hash}/4`,
  `blobs/zstd/${hash}/4`,
  `compressed-blobs/${hash}/4`,
  `compressed-blobs/identity/${hash}/4`,
  `compressed-blobs/brotli/${hash}/4`,
  `compressed-blobs/deflate/${hash}/4`,
  `actions/blobs/${hash}/4`,
  `a/uploads/u/blobs/${hash}/4`,
  `blobs/blobs/${hash}/4`,
  `${'a'.repeat(2000)}/blobs/${hash}/4`,
])('refuses to read %j', (name) => {
  expect(() => blobResource(name)).toThrow(expect.objectContaining({ code }))
})

it.each([
  `blobs/${hash}/4`,
  `uploads/blobs/${hash}/4`,
  `uploads//blobs/${hash}/4`,
  `uploads/u/${hash}/4`,
  `uploads/u/blobs/${hash}`,
  `uploads/u/actions/${hash}/4`,
  `uploads/u/uploads/u/blobs/${hash}/4`,
])('refuses to write %j', (name) => {
  expect(() => uploadResource(name)).toThrow(expect.objectContaining({ code }))
})

it('says which digest function it lacks', () => {
  expect(() => blobResource(`blobs/blake3/${hash}/4`)).toThrow(/BLAKE3/)
})
