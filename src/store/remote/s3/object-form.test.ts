import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { asActionDigest } from '../../../digest/digest.ts'
import { action } from '../../action-store.contract.ts'
import { contentOf } from '../frame-content.ts'
import { actionObject, readActionObject } from './action-object.ts'
import { ofOtherSize } from './new-blobs.ts'
import { objectKeys } from './object-keys.ts'
import { objectParts, partBytesFor } from './object-parts.ts'

async function* each<T>(all: readonly T[]): AsyncGenerator<T> {
  yield* all
}

async function listed<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}

test('parts are the bytes, all of one size but the last, which is not empty unless it is the only one', async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 1, max: 20 }), async (given, partBytes) => {
      const parts = await listed(objectParts(each(given), partBytes))
      expect(Buffer.concat(parts.map(({ bytes }) => bytes))).toEqual(Buffer.concat(given))
      expect(parts.map(({ isLast }) => isLast)).toEqual(parts.map((_, i) => i === parts.length - 1))
      for (const { bytes } of parts.slice(0, -1)) expect(bytes).toHaveLength(partBytes)
      const last = parts.at(-1)?.bytes.length ?? -1
      expect(last).toBeLessThanOrEqual(partBytes)
      expect(last > 0 || parts.length === 1).toBe(true)
    }),
    { numRuns: 100 },
  )
})

test('no object has more parts than S3 takes, nor smaller ones', () => {
  for (const size of [2 ** 24, 2 ** 36, 2 ** 40]) {
    expect(partBytesFor(size)).toBeGreaterThanOrEqual(5 << 20)
    expect(Math.ceil((2 * size) / partBytesFor(size))).toBeLessThanOrEqual(10_000)
  }
})

test('frames are never just as long as their blob, which would be taken for it', async () => {
  const bytes = Buffer.from('content')
  const frame = zstdCompressSync(bytes)
  for (const [sizeBytes, more] of [
    [frame.length, 8],
    [frame.length + 1, 0],
    [frame.length - 1, 0],
  ] as const) {
    const frames = await listed(ofOtherSize({ sizeBytes }, each([frame.subarray(0, 5), frame.subarray(5)])))
    expect(Buffer.concat(frames)).toHaveLength(frame.length + more)
    expect(Buffer.concat(await listed(contentOf(each(frames))))).toEqual(bytes)
  }
})

test('no two instances and no instance and prefix have a name in common, whatever they are called', () => {
  const { action: keyOf } = objectKeys('p/')
  const { hash } = action('a')
  const nameOf = (instance: string) => keyOf({ instance }, action('a')).split('/').at(2)
  expect(keyOf({ instance: '' }, action('a'))).toBe(`p/ac/_/${hash.slice(0, 2)}/${hash}`)
  expect(nameOf('team/app_1 ü')).toBe('team_2Fapp_5F1_20_C3_BC')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (a, b) => {
      expect(nameOf(a) === nameOf(b)).toBe(Buffer.from(a).equals(Buffer.from(b)))
      expect(nameOf(a)).toMatch(/^[A-Za-z0-9_-]+$/)
    }),
    { numRuns: 200 },
  )
})

test('an action’s object is read for that action alone, and only as it was written', () => {
  const scope = { instance: 'team' }
  const object = actionObject(scope, action('a'), Buffer.from('result'))
  expect(readActionObject(scope, action('a'), object)).toEqual({ kind: 'result', encoded: Buffer.from('result') })
  const other = asActionDigest({ ...action('a'), sizeBytes: 1 })
  expect(readActionObject(scope, other, object)).toEqual({ kind: 'other-size' })
  expect(readActionObject({ instance: '' }, action('a'), object)).toEqual({ kind: 'damaged' })
  expect(readActionObject(scope, action('b'), object)).toEqual({ kind: 'damaged' })
  for (let at = 0; at < object.length; at++) {
    const flipped = Buffer.from(object)
    flipped[at] = (flipped[at] as number) ^ 1
    expect(readActionObject(scope, action('a'), flipped)).toEqual({ kind: 'damaged' })
    expect(readActionObject(scope, action('a'), object.subarray(0, at))).toEqual({ kind: 'damaged' })
  }
})
