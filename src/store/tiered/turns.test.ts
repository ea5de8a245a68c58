import { expect, test } from 'vitest'
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
