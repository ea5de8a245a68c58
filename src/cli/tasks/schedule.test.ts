import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concurrencyOf, schedule } from './schedule.ts'

const plan = (tasks: Record<string, string[]>) => new Map(Object.entries(tasks))

/** Tasks that end when they are told to. */
function held() {
  const ends = new Map<string, (isGood: boolean) => void>()
  return {
    began: [] as string[],
    run(name: string) {
      this.began.push(name)
      return new Promise<boolean>((end) => ends.set(name, end))
    },
    async end(name: string, isGood = true) {
      ends.get(name)?.(isGood)
      await new Promise(setImmediate)
    },
  }
}

test('what is independent runs at once, what depends waits', async () => {
  const tasks = held()
  const done = schedule(plan({ a: [], b: [], c: ['a', 'b'] }), {
    concurrency: 4,
    keepGoing: false,
    run: (name) => tasks.run(name),
  })
  expect(tasks.began).toEqual(['a', 'b'])
  await tasks.end('b')
  expect(tasks.began).toEqual(['a', 'b'])
  await tasks.end('a')
  expect(tasks.began).toEqual(['a', 'b', 'c'])
  await tasks.end('c')
  expect(await done).toEqual([])
})

test('after a failure nothing new is begun, and what runs is finished', async () => {
  const tasks = held()
  const done = schedule(plan({ a: [], b: [], c: ['a'], d: [] }), {
    concurrency: 2,
    keepGoing: false,
    run: (name) => tasks.run(name),
  })
  await tasks.end('a', false)
  await tasks.end('b')
  expect(await done).toEqual(['c', 'd'])
})

test('keeping going leaves out only what depends on the failed one, also from afar', async () => {
  const begun: string[] = []
  const notRun = await schedule(plan({ a: [], b: ['a'], c: ['b'], d: [] }), {
    concurrency: 1,
    keepGoing: true,
    run: async (name) => {
      begun.push(name)
      return name !== 'a'
    },
  })
  expect({ begun, notRun }).toEqual({ begun: ['a', 'd'], notRun: ['b', 'c'] })
})

test('any plan: each task once, after what it needs, never more at once than allowed', async () => {
  const plans = fc
    .integer({ min: 1, max: 12 })
    .chain((size) =>
      fc.tuple(...Array.from({ length: size }, (_, i) => fc.subarray(Array.from({ length: i }, (_, j) => `t${j}`)))),
    )
  await fc.assert(
    fc.asyncProperty(plans, fc.integer({ min: 1, max: 4 }), async (dependencies, concurrency) => {
      const tasks = new Map(dependencies.map((needs, i): [string, typeof needs] => [`t${i}`, needs]))
      const done: string[] = []
      let running = 0
      const notRun = await schedule(tasks, {
        concurrency,
        keepGoing: false,
        run: async (name) => {
          expect(tasks.get(name)?.every((need) => done.includes(need))).toBe(true)
          expect(++running).toBeLessThanOrEqual(concurrency)
          await new Promise(setImmediate)
          running--
          done.push(name)
          return true
        },
      })
      expect(notRun).toEqual([])
      expect(done.toSorted()).toEqual([...tasks.keys()].toSorted())
    }),
  )
})

test.each([
  [undefined, 8, 8],
  ['3', 8, 3],
  ['50%', 8, 4],
  ['1%', 8, 1],
])('concurrency %j on %d cores is %j', (text, cores, expected) => {
  expect(concurrencyOf(text, cores)).toBe(expected)
})
