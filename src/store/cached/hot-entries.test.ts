import fc from 'fast-check'
import { expect, test } from 'vitest'
import { lru } from '../../evict/lru.ts'
import { type Hot, HotEntries } from './hot-entries.ts'

const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('add' as const),
      key: fc.constantFrom(...'abcdefgh'),
      sizeBytes: fc.integer({ min: 1, max: 80 }),
    }),
    fc.record({ do: fc.constant('remove' as const), key: fc.constantFrom(...'abcdefgh') }),
    fc.record({ do: fc.constant('limit' as const), bytes: fc.integer({ min: 0, max: 2000 }) }),
  ),
  { maxLength: 60 },
)

test('whatever is done: the bytes are those of what is held, within the limit, and who leaves is told once', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const held = new Map<string, number>()
      const entries = new HotEntries<Hot>(lru(), 1000)
      const forget = ({ key }: Hot) => expect(held.delete(key)).toBe(true)
      for (const step of sequence) {
        if (step.do === 'limit') entries.limitBytes = step.bytes
        else if (step.do === 'remove') {
          entries.remove(step.key)
          held.delete(step.key)
        } else {
          held.delete(step.key)
          const isHeld = entries.add({ key: step.key, sizeBytes: step.sizeBytes }, 1, forget)
          expect(isHeld).toBe(step.sizeBytes <= entries.limitBytes / 16)
          if (isHeld) held.set(step.key, step.sizeBytes)
        }
        expect(entries.count).toBe(held.size)
        expect(entries.sizeBytes).toBe([...held.values()].reduce((sum, bytes) => sum + bytes, 0))
        expect(entries.sizeBytes).toBeLessThanOrEqual(entries.limitBytes)
      }
    }),
    { numRuns: 300 },
  )
})

test('what is touched stays longer', () => {
  const left: string[] = []
  const entries = new HotEntries<Hot>(lru(), 160)
  for (const key of 'abcdefghijklmnop') entries.add({ key, sizeBytes: 10 }, 1, (entry) => left.push(entry.key))
  entries.touch('a')
  entries.add({ key: 'q', sizeBytes: 10 }, 1, () => undefined)
  expect(left).toEqual(['b'])
})
