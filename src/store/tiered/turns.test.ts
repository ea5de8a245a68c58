import { expect, test } from 'vitest'
import { Recently } from './recently.ts'
import { Turns } from './turns.ts'

test('turns are taken so many at a time, in the order of asking', async () => {
  const turns = new Turns(2)
  const order: number[] = []
  const takes = [0, 1, 2, 3].map(async (at) => {
    const turn = await turns.next()
    order.push(at)
    return turn
  })
  const first = await takes[0]
  await takes[1]
  expect(order).toEqual([0, 1])
  // Given back twice, it is given back once.
  for (let time = 0; time < 2; time++) first?.[Symbol.dispose]()
  await takes[2]
  await new Promise(setImmediate)
  expect(order).toEqual([0, 1, 2])
  for (const take of takes.slice(1, 3)) (await take)?.[Symbol.dispose]()
  await takes[3]
  expect(order).toEqual([0, 1, 2, 3])
})

test('a turn that nobody waits for is free for the next', async () => {
  const turns = new Turns(1)
  for (let time = 0; time < 3; time++) (await turns.next())[Symbol.dispose]()
  using _turn = await turns.next()
})

test('what is remembered is forgotten after its time, when the clock was set back, and when there is too much', () => {
  let nowMs = 1_000
  const recently = new Recently(2, 100, () => nowMs)
  recently.add('a')
  nowMs += 99
  expect(recently.has('a')).toBe(true)
  nowMs += 1
  expect(recently.has('a')).toBe(false)
  recently.add('a')
  nowMs -= 500
  expect(recently.has('a')).toBe(false)
  for (const name of ['b', 'c', 'b', 'd']) recently.add(name)
  expect(['a', 'b', 'c', 'd'].map((name) => recently.has(name))).toEqual([false, true, false, true])
  recently.remove('b')
  expect(recently.has('b')).toBe(false)
})
