import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap, Ranked } from './heap.ts'

test('whatever is put in, moved and taken out, the lowest comes first, of equals the one that waited longest', () => {
  const step = fc.record({
    do: fc.constantFrom('push', 'push', 'push', 'move', 'take', 'takeLowest'),
    which: fc.nat(),
    rank: fc.integer({ min: -20, max: 20 }),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 400, size: 'max' }), (steps) => {
      const heap = new Heap<number>()
      // In the order of their last turn, so that the first of the lowest is the one.
      let model: { entry: Ranked<number>; rank: number }[] = []
      const lowest = () => model.reduce((low, one) => (one.rank < low.rank ? one : low), model[0] as (typeof model)[0])
      const drop = (gone: Ranked<number>) => {
        model = model.filter(({ entry }) => entry !== gone)
      }
      for (const [key, { do: what, which, rank }] of steps.entries()) {
        const known = what === 'takeLowest' ? heap.lowest : model[which % model.length]?.entry
        if (what === 'push') {
          const entry = new Ranked({ key, sizeBytes: 1, costMs: 1 })
          heap.push(entry, rank)
          model.push({ entry, rank })
        } else if (known !== undefined) {
          drop(known)
          if (what === 'move') {
            heap.move(known, rank)
            model.push({ entry: known, rank })
          } else heap.take(known)
        }
        expect(heap.lowest?.key).toBe(lowest()?.entry.key)
        if (model.length > 0) expect(heap.lowestRank).toBe(lowest().rank)
      }
      while (model.length > 0) {
        expect(heap.lowest?.key).toBe(lowest().entry.key)
        drop(heap.lowest as Ranked<number>)
        heap.take(heap.lowest as Ranked<number>)
      }
      expect(heap.lowest).toBeUndefined()
    }),
    { numRuns: 100 },
  )
})
