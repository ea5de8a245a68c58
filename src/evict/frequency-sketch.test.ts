import { expect, test } from 'vitest'
import { FrequencySketch } from './frequency-sketch.ts'
import { HillClimber } from './hill-climber.ts'
import { lfuDa } from './lfu-da.ts'
import { Queue, Queued } from './queue.ts'

test('a sketch that grows keeps what it counted, and halves it in time', () => {
  const sketch = new FrequencySketch<number>()
  for (let key = 0; key < 20; key++) for (let use = 0; use < 7; use++) sketch.add(key, 64)
  sketch.add(1_000, 5_000)
  const before = Array.from({ length: 20 }, (_, key) => sketch.frequency(key))
  expect(Math.min(...before)).toBe(7)
  for (let use = 0; use < 60_000; use++) sketch.add(2_000, 5_000)
  expect(Array.from({ length: 20 }, (_, key) => sketch.frequency(key))).toEqual(before.map((count) => count >> 1))
})

test('a climber turns round when it gets worse', () => {
  const climber = new HillClimber()
  const up = climber.count(true, 1)
  expect(up).toBeGreaterThan(0)
  expect(climber.count(false, 1)).toBeLessThan(0)
})

test('an entry that changes its size changes the sum of its queue', () => {
  const queue = new Queue<string>()
  const entry = new Queued({ key: 'a', sizeBytes: 1, costMs: 0 })
  queue.push(entry)
  entry.resize(9)
  expect([entry.sizeBytes, queue.sizeBytes]).toEqual([9, 9])
})

test('what is restored ranks by its uses and its age, and the age never falls', () => {
  const policy = lfuDa<string>(7)
  for (const [key, uses, age] of [
    ['a', 5, 0],
    ['b', 1, 2],
    ['c', 1, 9],
  ] as const)
    policy.restore({ key, sizeBytes: 1, costMs: 0 }, { uses, age })
  expect([policy.evict()?.key, policy.age]).toEqual(['b', 7])
  expect([policy.evict()?.key, policy.evict()?.key, policy.age]).toEqual(['a', 'c', 10])
})
