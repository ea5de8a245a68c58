import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CommandTurn } from '../../action/run-outcome.ts'
import { NO_MORE } from './command-turns.ts'
import { concurrencyOf, schedule, type TaskEnd } from './schedule.ts'

const plan = (tasks: Record<string, string[]>) => new Map(Object.entries(tasks))

/** Tasks that end when they are told to; their commands begin when it is their turn. */
function held() {
  const ends = new Map<string, (end: TaskEnd) => void>()
  return {
    began: [] as string[],
    commands: [] as string[],
    turns: new Map<string, CommandTurn>(),
    run(name: string) {
      this.began.push(name)
      return new Promise<TaskEnd>((end) => ends.set(name, end))
    },
    /** A task that found nothing, and runs its command. */
    async miss(name: string, takeTurn: () => Promise<CommandTurn>): Promise<TaskEnd> {
      const end = this.run(name)
      try {
        this.turns.set(name, await takeTurn())
        this.commands.push(name)
        return await end
      } catch (error) {
        expect(error).toBe(NO_MORE)
        return 'not-begun'
      }
    },
    async end(name: string, isGood = true) {
      ends.get(name)?.(isGood ? 'good' : 'failed')
      await new Promise(setImmediate)
    },
  }
}

test('what is independent runs at once, what depends waits', async () => {
  const tasks = held()
  const done = schedule(plan({ a: [], b: [], c: ['a', 'b'] }), {
    concurrency: 4,
    ahead: 0,
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
    ahead: 0,
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
    ahead: 0,
    keepGoing: true,
    run: async (name) => {
      begun.push(name)
      return name === 'a' ? 'failed' : 'good'
    },
  })
  expect({ begun, notRun }).toEqual({ begun: ['a', 'd'], notRun: ['b', 'c'] })
})

test('look-ups go on while commands run, so many and no more; commands begin in the order in which they asked', async () => {
  const tasks = held()
  const done = schedule(plan({ a: [], b: [], c: [], d: [], e: ['a'] }), {
    concurrency: 1,
    ahead: 2,
    keepGoing: false,
    run: (name, takeTurn) => tasks.miss(name, takeTurn),
  })
  await new Promise(setImmediate)
  expect([tasks.began, tasks.commands]).toEqual([['a', 'b', 'c'], ['a']])
  expect(tasks.turns.get('a')?.hasWaited).toBe(false)
  await tasks.end('a')
  expect([tasks.began, tasks.commands]).toEqual([
    ['a', 'b', 'c', 'd'],
    ['a', 'b'],
  ])
  expect(tasks.turns.get('b')?.hasWaited).toBe(true)
  await tasks.end('b')
  await tasks.end('c')
  await tasks.end('d')
  await tasks.end('e')
  expect([await done, tasks.commands]).toEqual([[], ['a', 'b', 'c', 'd', 'e']])
})

test('a turn that is given back is the next one’s, and is not given back twice', async () => {
  const tasks = held()
  const done = schedule(plan({ a: [], b: [], c: [] }), {
    concurrency: 1,
    ahead: 2,
    keepGoing: false,
    run: (name, takeTurn) => tasks.miss(name, takeTurn),
  })
  await new Promise(setImmediate)
  tasks.turns.get('a')?.giveBack()
  tasks.turns.get('a')?.giveBack()
  await tasks.end('a')
  expect(tasks.commands).toEqual(['a', 'b'])
  await tasks.end('b')
  await tasks.end('c')
  expect([await done, tasks.commands]).toEqual([[], ['a', 'b', 'c']])
})

test.each(['a failure', 'an interruption'])(
  'after %s no command begins, whoever has looked up already',
  async (what) => {
    const tasks = held()
    let isStopped = false
    const done = schedule(plan({ a: [], b: [], c: [], d: [] }), {
      concurrency: 1,
      ahead: 2,
      keepGoing: false,
      isStopped: () => isStopped,
      run: (name, takeTurn) => tasks.miss(name, takeTurn),
    })
    await new Promise(setImmediate)
    isStopped = what === 'an interruption'
    await tasks.end('a', isStopped)
    expect([await done, tasks.commands]).toEqual([['b', 'c', 'd'], ['a']])
  },
)

test('a task that asks for its turn after a failure has not begun either; a hit stands', async () => {
  const tasks = held()
  const asked = Promise.withResolvers<void>()
  const done = schedule(plan({ a: [], b: [], c: [] }), {
    concurrency: 1,
    ahead: 2,
    keepGoing: false,
    run: async (name, takeTurn) => {
      if (name !== 'a') await asked.promise
      return name === 'c' ? 'good' : tasks.miss(name, takeTurn)
    },
  })
  await new Promise(setImmediate)
  await tasks.end('a', false)
  asked.resolve()
  expect(await done).toEqual(['b'])
})

test('any plan: each task once, after what it needs, never more commands at once than allowed', async () => {
  const plans = fc
    .integer({ min: 1, max: 12 })
    .chain((size) =>
      fc.tuple(...Array.from({ length: size }, (_, i) => fc.subarray(Array.from({ length: i }, (_, j) => `t${j}`)))),
    )
  const numbers = fc.record({ concurrency: fc.integer({ min: 1, max: 4 }), ahead: fc.integer({ min: 0, max: 4 }) })
  await fc.assert(
    fc.asyncProperty(plans, numbers, fc.func(fc.boolean()), async (dependencies, { concurrency, ahead }, isHit) => {
      const tasks = new Map(dependencies.map((needs, i): [string, typeof needs] => [`t${i}`, needs]))
      const done: string[] = []
      let [running, commands] = [0, 0]
      const notRun = await schedule(tasks, {
        ...{ concurrency, ahead },
        keepGoing: false,
        run: async (name, takeTurn) => {
          expect(tasks.get(name)?.every((need) => done.includes(need))).toBe(true)
          expect(++running).toBeLessThanOrEqual(concurrency + ahead)
          await new Promise(setImmediate)
          if (!isHit(name)) {
            await takeTurn()
            expect(++commands).toBeLessThanOrEqual(concurrency)
            await new Promise(setImmediate)
            commands--
          }
          running--
          done.push(name)
          return 'good'
        },
      })
      expect(notRun).toEqual([])
      expect(done.toSorted()).toEqual([...tasks.keys()].toSorted())
    }),
  )
})

test('a task that lacks what failed when it was done again has not begun, and that is a failure', async () => {
  const tasks = held()
  const done = schedule(plan({ a: [], b: ['a'], c: ['b'], d: [] }), {
    ...{ concurrency: 1, ahead: 0, keepGoing: false },
    run: (name) => tasks.run(name).then((end) => (name === 'b' ? 'lacking' : end)),
  })
  await tasks.end('a')
  await tasks.end('b')
  expect(await done).toEqual(['b', 'c', 'd'])
  expect(tasks.began).toEqual(['a', 'b'])
})

test.each([
  [undefined, 8, 8],
  ['3', 8, 3],
  ['50%', 8, 4],
  ['1%', 8, 1],
])('concurrency %j on %d cores is %j', (text, cores, expected) => {
  expect(concurrencyOf(text, cores)).toBe(expected)
})
