import { expect, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { openBytes } from '../open-bytes.ts'
import { readAhead } from './read-ahead.ts'

const digests = Array.from({ length: 20 }, (_, i) => ({ ...digestOf(Buffer.from([i])), sizeBytes: 4 }))

test.each([
  [{ mostBytes: 10, mostBlobs: 100 }, 2],
  [{ mostBytes: 1000, mostBlobs: 5 }, 5],
  [{ mostBytes: 1, mostBlobs: 100 }, 1],
])('with %o no more is read ahead than it says, in order, and leaving ends what is under way', async (ahead, most) => {
  let started = 0
  const signals: AbortSignal[] = []
  const read = async (_: unknown, { sizeBytes }: Digest, { signal }: { readonly signal?: AbortSignal } = {}) => {
    started++
    signals.push(signal as AbortSignal)
    return openBytes(Buffer.alloc(sizeBytes))
  }
  let taken = 0
  for await (const { index, bytes } of readAhead({ read, place: 'here' }, scope, digests, ahead)) {
    expect(index).toBe(taken++)
    expect(bytes).toHaveLength(4)
    expect(started - taken).toBeLessThanOrEqual(most)
    if (taken === 10) break
  }
  expect(started).toBeGreaterThanOrEqual(10)
  expect(started).toBeLessThan(20)
  expect(signals.every(({ aborted }) => aborted)).toBe(true)
})
