import { expect, test } from 'vitest'
import { asActionDigest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import { transferJson, transferLines } from './transfer-words.ts'

const key = (digit: string) => asActionDigest({ hash: digit.repeat(64), sizeBytes: 5 })
const NONE = { actions: 0, blobs: 0, bytes: 0, absent: [], failed: [] }
const WORDS = { verb: 'Sent', to: ' to there', where: 'kept here' }

test('what was moved is said, and what was there already', () => {
  expect(transferLines({ ...NONE, actions: 2, blobs: 3, bytes: 2048 }, WORDS)).toEqual([
    'Sent 2 results to there: 3 blobs, 2.0 kB.',
  ])
  expect(transferLines({ ...NONE, actions: 1 }, WORDS)).toEqual(['Sent 1 result to there: all blobs were there.'])
  expect(transferLines({ ...NONE, actions: 1, blobs: 1, bytes: 1 }, WORDS)).toEqual([
    'Sent 1 result to there: 1 blob, 1 B.',
  ])
  expect(transferLines(NONE, WORDS)).toEqual([])
})

test('what could not be moved is named by its keys, and each reason given once', () => {
  const denied = () => new CacheError('remote.denied', 'No.', { hint: 'Ask.' })
  const failed = [
    { action: key('a'), error: denied() },
    { action: key('b'), error: new CacheError('remote.failed', 'Broken.') },
    { action: key('c'), error: denied() },
    { action: key('d'), error: undefined },
  ]
  expect(transferLines({ ...NONE, failed }, WORDS)).toEqual([
    'Failed for 2 results (aaaaaaaaaa, cccccccccc): No. Ask.',
    'Failed for 1 result (bbbbbbbbbb): Broken.',
    'Failed for 1 result (dddddddddd): it could not be kept here.',
  ])
  const absent = [...'0123456'].map(key)
  expect(transferLines({ ...NONE, absent }, WORDS)).toEqual([
    'Not kept here, or not whole: 0000000000, 1111111111, 2222222222, 3333333333, 4444444444 and 2 more.',
  ])
  expect(transferLines({ ...NONE, absent: absent.slice(0, 5) }, WORDS)[0]).not.toContain('more')
})

test('programs get the whole keys', () => {
  const failed = [{ action: key('b'), error: new Error('Broken.') }]
  expect(transferJson({ actions: 1, blobs: 2, bytes: 3, absent: [key('a')], failed })).toEqual({
    ...{ results: 1, blobs: 2, bytes: 3 },
    absent: ['a'.repeat(64)],
    failed: [{ key: 'b'.repeat(64), why: 'Broken.' }],
  })
})
