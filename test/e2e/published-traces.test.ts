import { expect, test } from 'vitest'
import { noTraces, readTrace, replay, testPublished, traceFile } from '../fixtures/published-traces.ts'

testPublished(() => true)

const OLTP = 'arc/OLTP.lis.gz'

async function hitRatios(policy: string, capacities: readonly number[]): Promise<number[] | undefined> {
  const file = traceFile(OLTP)
  if (file === undefined) return undefined
  const trace = await readTrace(OLTP, file)
  const ratios: number[] = []
  for (const capacity of capacities) {
    const { misses } = await replay(trace, policy, { capacity, countsObjects: true })
    ratios.push(100 * (1 - misses / trace.requests))
  }
  return ratios
}

// Megiddo and Modha, FAST 2003.
test('ARC on OLTP is within 0.05 points of what its paper says', async ({ skip }) => {
  const ratios = await hitRatios('arc', [1_000, 2_000, 5_000, 10_000, 15_000])
  if (ratios === undefined) return skip(noTraces(OLTP))
  for (const [at, published] of [38.93, 46.08, 55.25, 61.87, 65.4].entries())
    expect(Math.abs((ratios[at] as number) - published)).toBeLessThanOrEqual(0.05)
})

// BitFaster.Caching, pull request 196: another implementation of the same design, so within a point.
test('W-TinyLFU on OLTP is within a point of another that climbs', async ({ skip }) => {
  const ratios = await hitRatios('w-tinylfu', [250, 500, 750, 1_000, 1_250, 1_500, 1_750, 2_000])
  if (ratios === undefined) return skip(noTraces(OLTP))
  const published = [24.879, 33.7289, 37.4572, 40.0072, 42.2794, 43.8028, 45.0577, 46.0891]
  for (const [at, one] of published.entries()) expect(Math.abs((ratios[at] as number) - one)).toBeLessThanOrEqual(1)
})
