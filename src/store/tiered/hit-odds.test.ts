import { expect, test } from 'vitest'
import { memoryRecords } from '../memory/memory-records.ts'
import { HitOdds } from './hit-odds.ts'

const times = (n: number, act: () => void) => {
  for (let i = 0; i < n; i++) act()
}

test('of a new place the best is thought: an answer is waited for as long as it may save', () => {
  expect(new HitOdds(memoryRecords(), 'far').patienceMs(5000)).toBe(5000)
})

test('after misses less is waited, soon nothing at all; hits bring it back', () => {
  const odds = new HitOdds(memoryRecords(), 'far')
  odds.answered(false, 200)
  expect(odds.patienceMs(1200)).toBe(600)
  odds.answered(false, 200)
  expect(odds.patienceMs(1200)).toBeCloseTo(400)
  times(4, () => odds.answered(false, 200))
  expect(odds.patienceMs(1200)).toBe(0)
  // Those that save much more than an answer takes are worth it even then.
  expect(odds.patienceMs(60_000)).toBeGreaterThan(200)
  times(100, () => odds.answered(false, 200))
  expect(odds.patienceMs(1200)).toBe(0)
  expect(odds.patienceMs(60_000)).toBe(1200)
  times(3, () => odds.answered(true, 200))
  expect(odds.patienceMs(1200)).toBe(0)
  odds.answered(true, 200)
  expect(odds.patienceMs(1200)).toBeGreaterThan(200)
})

test('an end that answers at once is waited for whatever it had', () => {
  const odds = new HitOdds(memoryRecords(), 'far')
  times(1000, () => odds.answered(false, 2))
  expect(odds.patienceMs(500)).toBe(10)
  expect(odds.answerMs).toBe(2)
})

test('how slow it is follows what it was of late; one that never answered in time is as slow as was waited', () => {
  const odds = new HitOdds(memoryRecords(), 'far')
  expect(odds.answerMs).toBe(undefined)
  odds.unanswered(300)
  expect(odds.answerMs).toBe(300)
  odds.unanswered(100)
  expect([odds.answerMs, odds.patienceMs(299), odds.patienceMs(300)]).toEqual([300, 0, 300])
  odds.answered(true, 140)
  expect(odds.answerMs).toBe(280)
  times(50, () => odds.answered(true, 10))
  expect(odds.answerMs).toBeLessThan(11)
})

test('what was learned is known to the next process, place by place', async () => {
  const records = memoryRecords()
  const odds = new HitOdds(records, 'far')
  await odds.save()
  expect(records.names('odds', '')).toEqual([])
  times(20, () => odds.answered(false, 200))
  await odds.save()
  const next = new HitOdds(records, 'far')
  expect([next.answerMs, next.patienceMs(60_000)]).toEqual([odds.answerMs, odds.patienceMs(60_000)])
  // And is as sure of it.
  for (const one of [odds, next]) one.answered(true, 200)
  expect(next.patienceMs(60_000)).toBe(odds.patienceMs(60_000))
  expect(new HitOdds(records, 'other').patienceMs(7)).toBe(7)
})

test('a place of which nobody knows how slow it is keeps that', async () => {
  const records = memoryRecords()
  await records.save('odds', 'far', Buffer.from('0.5 2 '))
  expect(new HitOdds(records, 'far').answerMs).toBe(undefined)
})
