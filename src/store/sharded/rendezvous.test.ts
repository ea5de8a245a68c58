import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sha256Hex } from '../../digest/sha256.ts'
import { type Member, Rendezvous } from './rendezvous.ts'

const KEYS = Array.from({ length: 10_000 }, (_, i) => sha256Hex(`key ${i}`))
const alike = (...names: string[]): Member[] => names.map((name) => ({ name, weight: 1 }))

/** Names, since places change. */
function owners(members: readonly Member[], replicas: number, keys = KEYS): string[][] {
  const rendezvous = new Rendezvous(members, replicas)
  return keys.map((key) => rendezvous.of(key).map((index) => (members[index] as Member).name))
}

function share(found: readonly string[][], name: string, place = 0): number {
  return found.filter((names) => names[place] === name).length / found.length
}

test('places are for ever: caches of other versions look in the same ones', () => {
  const rendezvous = new Rendezvous([...alike('a', 'b', 'c'), { name: 'd', weight: 2.5 }], 3)
  expect(KEYS.slice(0, 6).map((key) => rendezvous.of(key).join(''))).toMatchInlineSnapshot(`
    [
      "103",
      "320",
      "302",
      "230",
      "213",
      "321",
    ]
  `)
})

test('the order of the list says nothing', () => {
  const members = [...alike('a', 'b', 'c'), { name: 'd', weight: 3 }]
  expect(owners(members.toReversed(), 2)).toEqual(owners(members, 2))
})

test.each([1, 2, 3, 7])('each of %i replicas is another one, and never more than there are', (replicas) => {
  for (const names of owners(alike('a', 'b', 'c', 'd'), replicas, KEYS.slice(0, 1000))) {
    expect(new Set(names).size).toBe(names.length)
    expect(names).toHaveLength(Math.min(4, replicas))
  }
})

test('keys are shared as weights say, in each place: no further off than chance goes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 8 }),
      fc.string(),
      (weights, salt) => {
        const members = weights.map((weight, i) => ({ name: `${salt}${i}`, weight }))
        const found = owners(members, 1)
        const sum = weights.reduce((a, b) => a + b)
        let chiSquare = 0
        for (const { name, weight } of members) {
          const expected = (KEYS.length * weight) / sum
          chiSquare += (share(found, name) * KEYS.length - expected) ** 2 / expected
        }
        // Of seven degrees of freedom, one in ten million is above 46.
        expect(chiSquare).toBeLessThan(46)
      },
    ),
    { numRuns: 10 },
  )
})

test('who comes takes its share from all, and who goes gives its own to all: nothing else moves', () => {
  for (const n of [2, 5, 10]) {
    const few = alike(...Array.from({ length: n - 1 }, (_, i) => `server ${i}`))
    const many = [...few, { name: 'another', weight: 1 }]
    const [before, after] = [owners(few, 1), owners(many, 1)]
    const moved = before.filter(([name], i) => name !== after[i]?.[0]).length / KEYS.length
    expect(moved).toBe(share(after, 'another'))
    // Four standard deviations.
    expect(Math.abs(moved - 1 / n)).toBeLessThan(4 * Math.sqrt(((1 / n) * (1 - 1 / n)) / KEYS.length))
    for (const { name } of few) expect(share(before, name)).toBeGreaterThan(share(after, name))
  }
})

test('of two replicas one is still there when one member goes', () => {
  const members = alike('a', 'b', 'c', 'd', 'e')
  const [before, after] = [owners(members, 2), owners(members.slice(1), 2)]
  for (const [i, names] of after.entries()) expect(before[i]?.some((name) => names.includes(name))).toBe(true)
  // The second one stands in for the first.
  for (const [i, [first]] of after.entries()) if (before[i]?.[0] === 'a') expect(first).toBe(before[i]?.[1])
})

test('names that are nearly the same, and keys that begin alike, share as others do', () => {
  const rendezvous = new Rendezvous(alike('s1', 's2', 's3', 's4'), 1)
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < 8000; i++) {
    const key = `00000000${i.toString(16).padStart(8, '0')}${'0'.repeat(48)}`
    const [first = 0] = rendezvous.of(key)
    counts[first] = (counts[first] as number) + 1
  }
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(4 * Math.sqrt(8000 * 0.25 * 0.75))
})
