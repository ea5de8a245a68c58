import { expect, test } from 'vitest'
import { digestOf } from '../digest/sha256.ts'
import { RunRecord } from '../proto/recue/v1/recue.ts'
import { ledgerTrace } from './ledger-trace.ts'

test('a hit would have cost what it took and what it saved, a miss what its command took', () => {
  const run = { ...RunRecord.decode(new Uint8Array(0)), key: digestOf(Buffer.from('key')), bytes: 100 }
  const hit = { ...run, status: 'hit', durationMs: 20, savedMs: 980 }
  const miss = { ...run, status: 'miss', durationMs: 1010, ownUs: 10_000 }
  const { costs, sizes } = ledgerTrace([miss, { ...hit, tool: 'bazel', count: 9 }, hit])
  expect([costs, sizes].map((column) => [...(column ?? [])])).toEqual([
    [1000, 1000],
    [612, 612],
  ])
})
