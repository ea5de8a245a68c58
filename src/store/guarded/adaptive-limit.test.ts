import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AdaptiveLimit } from './adaptive-limit.ts'

const OPTIONS = { first: 8, least: 2, most: 20 }

async function full(limit: AdaptiveLimit): Promise<Disposable[]> {
  const held: Disposable[] = []
  while (limit.used + 1 <= limit.limit) held.push(await limit.hold(1))
  return held
}

/** Whether each has its turn by now. */
async function turns(holding: readonly Promise<Disposable>[]): Promise<boolean[]> {
  const has = holding.map(() => false)
  holding.forEach((one, i) => {
    one.then(
      () => {
        has[i] = true
      },
      () => undefined,
    )
  })
  await new Promise(setImmediate)
  return has
}

describe('the limit', () => {
  test('grows by about one for each round that was quick and used, to the most', async () => {
    const limit = new AdaptiveLimit(OPTIONS)
    await full(limit)
    for (let i = 0; i < 8; i++) limit.answered(10)
    expect(limit.limit).toBeGreaterThan(8.9)
    expect(limit.limit).toBeLessThanOrEqual(9)
    for (let i = 0; i < 1_000; i++) {
      limit.answered(10)
      await full(limit)
    }
    expect(limit.limit).toBe(OPTIONS.most)
  })

  test('does not grow where it is not used', () => {
    const limit = new AdaptiveLimit(OPTIONS)
    for (let i = 0; i < 100; i++) limit.answered(10)
    expect(limit.limit).toBe(8)
  })

  test('shrinks by a quarter, once in a round, to the least', async () => {
    const limit = new AdaptiveLimit(OPTIONS)
    await full(limit)
    for (let i = 0; i < 5; i++) limit.overloaded()
    expect(limit.limit).toBe(6)
    for (let i = 0; i < 8; i++) limit.answered(10)
    const before = limit.limit
    limit.overloaded()
    expect(limit.limit).toBe(before * 0.75)
    const unused = new AdaptiveLimit(OPTIONS)
    for (let i = 0; i < 50; i++) unused.overloaded()
    expect(unused.limit).toBe(OPTIONS.least)
  })

  test.each([
    [10, 29, false],
    [10, 31, true],
    [200, 413, false],
    [200, 415, true],
  ])('after answers in %i ms one in %i ms is too slow: %s', async (usualMs, ms, isSlow) => {
    const limit = new AdaptiveLimit(OPTIONS)
    await full(limit)
    limit.answered(usualMs)
    const before = limit.limit
    limit.answered(ms)
    expect(limit.limit < before).toBe(isSlow)
  })

  test('takes a way that became longer for the usual one after a while', async () => {
    const limit = new AdaptiveLimit(OPTIONS)
    await full(limit)
    limit.answered(20)
    for (let i = 0; i < 500; i++) limit.answered(200)
    await full(limit)
    const before = limit.limit
    limit.answered(200)
    expect(before).toBeLessThan(OPTIONS.most)
    expect(limit.limit).toBeGreaterThan(before)
  })
})

describe('those who wait', () => {
  test('come in their order, also behind one that needs more room', async () => {
    const limit = new AdaptiveLimit(OPTIONS)
    const held = await full(limit)
    const waiting = [limit.hold(3), limit.hold(1)]
    expect(await turns(waiting)).toEqual([false, false])
    for (const one of held.slice(0, 2)) one[Symbol.dispose]()
    expect(await turns(waiting)).toEqual([false, false])
    held[2]?.[Symbol.dispose]()
    held[2]?.[Symbol.dispose]()
    expect(await turns(waiting)).toEqual([true, false])
    held[3]?.[Symbol.dispose]()
    expect(await turns(waiting)).toEqual([true, true])
  })

  test('may leave, and those behind them are not kept', async () => {
    const limit = new AdaptiveLimit(OPTIONS)
    const held = await full(limit)
    const control = new AbortController()
    const [heavy, light] = [limit.hold(7, control.signal), limit.hold(1)]
    held[0]?.[Symbol.dispose]()
    expect(await turns([heavy, light])).toEqual([false, false])
    control.abort(new Error('enough'))
    await expect(heavy).rejects.toThrow('enough')
    expect(await turns([light])).toEqual([true])
    await expect(limit.hold(1, control.signal)).rejects.toThrow('enough')
    expect(limit.used).toBe(8)
  })

  test('have room alone whatever they need', async () => {
    const limit = new AdaptiveLimit(OPTIONS)
    using _ = await limit.hold(100)
    const next = limit.hold(0.5)
    expect(await turns([next])).toEqual([false])
  })

  test('are never more than the limit, and all of them come', async () => {
    const weights = fc.array(fc.double({ min: 0.1, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(weights, fc.integer({ min: 1, max: 5 }), async (all, most) => {
        const limit = new AdaptiveLimit({ first: most, least: 1, most })
        let used = 0
        const one = async (weight: number) => {
          using _ = await limit.hold(weight)
          used += weight
          expect(used).toBeLessThanOrEqual(most + 1e-9)
          await new Promise(setImmediate)
          used -= weight
        }
        await Promise.all(all.map(one))
        expect(limit.used).toBeCloseTo(0)
      }),
      { numRuns: 30 },
    )
  })
})
