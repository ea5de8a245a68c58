import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lru } from './lru.ts'
import type { Evictable } from './policy.ts'

const entry = (key: string, sizeBytes = 1): Evictable<string> => ({ key, sizeBytes, costMs: 0 })

function filled(...entries: Evictable<string>[]) {
  const policy = lru<string>()
  for (const each of entries) policy.insert(each)
  return policy
}

describe('lru', () => {
  test('names who was not used for longest, and says the same until told', () => {
    const policy = filled(entry('a'), entry('b'), entry('c'))
    policy.touch('a')
    expect(policy.victim()?.key).toBe('b')
    expect(policy.victim()?.key).toBe('b')
    policy.remove('b')
    expect(policy.victim()?.key).toBe('c')
  })

  test('an empty one has no victim', () => {
    expect(lru().victim()).toBeUndefined()
  })

  test('an entry that is inserted again counts once, with its new size, as used now', () => {
    const policy = filled(entry('a', 10), entry('b', 20), entry('a', 30))
    expect([policy.count, policy.sizeBytes, policy.victim()?.key]).toEqual([2, 50, 'b'])
  })

  test('unknown keys are ignored', () => {
    const policy = filled(entry('a', 7))
    policy.touch('x')
    policy.remove('x')
    expect([policy.count, policy.sizeBytes]).toEqual([1, 7])
  })
})

/** The plainest LRU one can write: a list with the most recent last. */
class NaiveLru {
  list: Evictable<string>[] = []
  insert(one: Evictable<string>) {
    this.remove(one.key)
    this.list.push(one)
  }
  touch(key: string) {
    const found = this.list.find((one) => one.key === key)
    if (found) this.insert(found)
  }
  remove(key: string) {
    this.list = this.list.filter((one) => one.key !== key)
  }
}

const keys = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('insert' as const), key: keys, sizeBytes: fc.nat(1000), costMs: fc.nat(1000) }),
    fc.record({ do: fc.constant('touch' as const), key: keys }),
    fc.record({ do: fc.constant('remove' as const), key: keys }),
  ),
  { maxLength: 60 },
)

test('any sequence of calls gives what a plain list gives', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const policy = lru<string>()
      const model = new NaiveLru()
      const size = () => model.list.reduce((sum, one) => sum + one.sizeBytes, 0)
      for (const step of sequence) {
        if (step.do === 'insert') {
          const one = { key: step.key, sizeBytes: step.sizeBytes, costMs: step.costMs }
          policy.insert(one)
          model.insert(one)
        } else {
          policy[step.do](step.key)
          model[step.do](step.key)
        }
        const victim = policy.victim()
        expect(victim && { key: victim.key, sizeBytes: victim.sizeBytes, costMs: victim.costMs }).toEqual(model.list[0])
        expect([policy.count, policy.sizeBytes]).toEqual([model.list.length, size()])
      }
    }),
    { numRuns: 500 },
  )
})
