import { expect, test } from 'vitest'
import { laterWork } from './later-work.ts'

const LONG = 60_000

test('all is done at the end, so many at once and no more', async () => {
  let [underWay, most, done] = [0, 0, 0]
  const work = laterWork({ atOnce: 3, onFault: () => undefined })
  for (let i = 0; i < 20; i++)
    work.add(async () => {
      most = Math.max(most, ++underWay)
      await new Promise((resolve) => setImmediate(resolve))
      underWay--
      done++
    })
  expect(await work.finish(LONG)).toBe(true)
  expect({ most, done }).toEqual({ most: 3, done: 20 })
})

test('what fails is told, and the rest goes on', async () => {
  const faults: unknown[] = []
  let done = 0
  const work = laterWork({ atOnce: 1, onFault: (error) => faults.push(error) })
  work.add(() => Promise.reject(new Error('no')))
  work.add(async () => void done++)
  expect(await work.finish(LONG)).toBe(true)
  expect({ done, faults: faults.map(String) }).toEqual({ done: 1, faults: ['Error: no'] })
})

test('out of time: what is under way is aborted, what waits is left out, and neither is a fault', async () => {
  const faults: unknown[] = []
  let began = 0
  const work = laterWork({ atOnce: 1, onFault: (error) => faults.push(error) })
  const stuck = (signal: AbortSignal) => {
    began++
    return new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  work.add(stuck)
  work.add(stuck)
  expect(await work.finish(1)).toBe(false)
  work.add(stuck)
  await new Promise((resolve) => setImmediate(resolve))
  expect({ began, faults }).toEqual({ began: 1, faults: [] })
})

test('with nothing to do there is nothing to wait for', async () => {
  expect(await laterWork({ atOnce: 1, onFault: () => undefined }).finish(LONG)).toBe(true)
})

test('pieces of one name are done in their order, others beside them, and one that fails holds up nobody', async () => {
  const done: string[] = []
  const work = laterWork({ atOnce: 4, onFault: () => undefined })
  const { promise: opened, resolve: open } = Promise.withResolvers<void>()
  const piece = (says: string, ready?: Promise<void>) => async () => {
    await ready
    done.push(says)
    if (says === 'a1') throw new Error('no')
  }
  work.add(piece('a1', opened), 'a')
  work.add(piece('a2'), 'a')
  work.add(async () => {
    done.push('b1')
    open()
  }, 'b')
  work.add(piece('a3'), 'a')
  expect(await work.finish(LONG)).toBe(true)
  expect(done).toEqual(['b1', 'a1', 'a2', 'a3'])
})
