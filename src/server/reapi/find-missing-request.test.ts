import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { FindMissingBlobsRequest } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { findMissingRequest } from './find-missing-request.ts'

const hash = fc.nat().map((seed) => digestOf(Buffer.from(`${seed}`)).hash)
const sizeBytes = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 48 }))
const usual = fc.record({
  instanceName: fc.oneof(fc.constant(''), fc.string({ maxLength: 30 })),
  blobDigests: fc.array(fc.record({ hash, sizeBytes }), { maxLength: 30 }),
  digestFunction: fc.constantFrom(0, 1, 9),
})
const odd = fc.record({
  instanceName: fc.string({ minLength: 100, maxLength: 400 }),
  blobDigests: fc.array(
    fc.record({
      hash: fc.oneof(
        hash,
        fc.string({ maxLength: 70 }),
        hash.map((text) => text.toUpperCase()),
        hash.map((text) => `${text.slice(1)}\u0000`),
      ),
      sizeBytes: fc.oneof(sizeBytes, fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER, 2 ** 49)),
    }),
    { maxLength: 5 },
  ),
  digestFunction: fc.constantFrom(0, 1, 300, -1),
})
const encoded = (request: unknown) => FindMissingBlobsRequest.encode(request as FindMissingBlobsRequest).finish()

it('reads what clients send as generated code does, and has checked it', () => {
  fc.assert(
    fc.property(usual, (request) => {
      const bytes = encoded(request)
      expect(findMissingRequest.decode(bytes)).toEqual({ ...FindMissingBlobsRequest.decode(bytes), isChecked: true })
    }),
  )
})

it('leaves anything else to generated code, unchecked unless it is fine', () => {
  fc.assert(
    fc.property(fc.oneof(usual, odd), fc.boolean(), fc.nat(), fc.nat(255), (request, isDamaged, at, byte) => {
      const bytes = Buffer.from(encoded(request))
      if (isDamaged && bytes.length > 0) bytes[at % bytes.length] = byte
      const found = outcome(() => findMissingRequest.decode(bytes))
      const { isChecked, ...rest } = found ?? {}
      expect(found && rest).toEqual(outcome(() => FindMissingBlobsRequest.decode(bytes)))
      if (isChecked === true)
        for (const digest of found?.blobDigests ?? [])
          expect(digest.hash.length === 64 && /^[0-9a-f]+$/.test(digest.hash) && digest.sizeBytes > 0).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

it('takes no digest for checked that a check would refuse', () => {
  const fine = digestOf(Buffer.from('fine'))
  for (const digest of [
    EMPTY_DIGEST,
    { ...fine, sizeBytes: 0 },
    { ...fine, sizeBytes: -5 },
    { ...fine, hash: 'x'.repeat(64) },
  ])
    expect(
      findMissingRequest.decode(encoded({ instanceName: '', blobDigests: [fine, digest], digestFunction: 0 }))
        .isChecked,
    ).toBeUndefined()
})

function outcome<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
