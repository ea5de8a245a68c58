import { createHash } from 'node:crypto'
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { EMPTY_DIGEST } from './digest.ts'
import { digestOfFile } from './file-digest.ts'
import { digestOf, streamDigest } from './sha256.ts'
import { statIdentity } from './stat-identity.ts'

const folder = mkdtempSync(join(tmpdir(), 'recue-digest-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('digestOfFile', () => {
  const chunk = 1 << 20
  test.each([0, 1, 4096, chunk - 1, chunk, chunk + 1, 3 * chunk + 5])('of %d bytes is SHA-256 and size', (size) => {
    const bytes = Buffer.alloc(size, 'recue')
    const path = join(folder, `of-${size}`)
    writeFileSync(path, bytes)
    const { digest, identity } = digestOfFile(path)
    expect(digest).toEqual({ hash: createHash('sha256').update(bytes).digest('hex'), sizeBytes: size })
    expect(identity).toEqual(statIdentity(lstatSync(path)))
  })

  test('throws what the system says', () => {
    expect(() => digestOfFile(join(folder, 'absent'))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(() => digestOfFile(folder)).toThrow(expect.objectContaining({ code: 'EISDIR' }))
  })
})

test('all ways to a digest agree', () => {
  const bytes = Buffer.from('the same bytes')
  const stream = streamDigest()
  stream.update(bytes.subarray(0, 5))
  stream.update(bytes.subarray(5))
  expect(stream.digest()).toEqual(digestOf(bytes))
  expect(digestOf(new Uint8Array(0))).toEqual(EMPTY_DIGEST)
})
