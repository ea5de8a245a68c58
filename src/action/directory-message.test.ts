import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Directory, type NodeProperties } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { encodeDirectory } from './directory-message.ts'

const digest = fc.record({
  hash: fc.oneof(
    {
      arbitrary: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
      weight: 9,
    },
    fc.constant('00'.repeat(48)),
  ),
  sizeBytes: fc.oneof(fc.nat(300), fc.maxSafeNat()),
})
const name = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 30, maxLength: 60 }))
const properties = fc.constant<NodeProperties>({ properties: [], mtime: undefined, unixMode: 420 })
const directory = fc.record({
  files: fc.array(
    fc.record(
      { name, digest, isExecutable: fc.boolean(), nodeProperties: properties },
      { requiredKeys: ['name', 'digest', 'isExecutable'] },
    ),
  ),
  directories: fc.array(fc.record({ name, digest })),
  symlinks: fc.array(fc.record({ name, target: name })),
})

test('a directory is encoded byte for byte as the generated code does it', () => {
  fc.assert(
    fc.property(directory, (message) => {
      const bytes = encodeDirectory(message)
      expect(Buffer.from(bytes)).toEqual(Buffer.from(Directory.encode(message).finish()))
    }),
  )
})
