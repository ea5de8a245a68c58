import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Place, Room } from './room.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('no more is taken than there is, and whoever asked first has it first', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 40 }), async (sizes) => {
      const room = new Room(10)
      const begun: number[] = []
      let held = 0
      const use = async (bytes: number, index: number) => {
        using _place = await room.take(bytes)
        begun.push(index)
        held += bytes
        expect(held).toBeLessThanOrEqual(10)
        await turn()
        held -= bytes
      }
      await Promise.all(sizes.map(use))
      expect(begun).toEqual(sizes.map((_, index) => index))
    }),
    { numRuns: 30 },
  )
})

test('what is larger than all of it waits until all is free', async () => {
  const room = new Room(10)
  const first = await room.take(1)
  let second: Place | undefined
  const waiting = room.take(11).then((place) => {
    second = place
  })
  await turn()
  expect(second).toBeUndefined()
  first[Symbol.dispose]()
  await waiting
  let third: Place | undefined
  const behind = room.take(1).then((place) => {
    third = place
  })
  await turn()
  expect(third).toBeUndefined()
  second?.[Symbol.dispose]()
  await behind
})

test('nobody waits for what stands still; that it is there counts all the same', async () => {
  const room = new Room(10)
  const standing = await room.take(10)
  expect(room.isCrowded).toBe(true)
  standing.stand(4)
  expect(room.isCrowded).toBe(false)
  const next = await room.take(10)
  next[Symbol.dispose]()
  standing.stand(6)
  expect(room.isCrowded).toBe(true)
  standing[Symbol.dispose]()
  standing[Symbol.dispose]()
  expect(room.isCrowded).toBe(false)
  using _all = await room.take(10)
  let more: Place | undefined
  void room.take(1).then((place) => {
    more = place
  })
  await turn()
  expect(more).toBeUndefined()
})
