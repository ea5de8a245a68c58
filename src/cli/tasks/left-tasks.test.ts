import { expect, test } from 'vitest'
import type { LeftOutputs } from '../../action/outputs/left-outputs.ts'
import { NO_MORE } from './command-turns.ts'
import { LeftTasks, NOT_FETCHED } from './left-tasks.ts'
import type { TaskEnd } from './schedule.ts'

const left = (path: string): LeftOutputs => ({ outputs: [{ kind: 'path', path }], entries: [] })
const noTurn = () => Promise.reject(NO_MORE)

/** Tasks that are done again when they are told to. */
function held(plan: Record<string, readonly string[]>) {
  const began: string[] = []
  const ends = new Map<string, (end: TaskEnd) => void>()
  const tasks = new LeftTasks(new Map(Object.entries(plan)), (name) => {
    began.push(name)
    return new Promise((end) => ends.set(name, end))
  })
  return {
    tasks,
    began,
    async end(name: string, end: TaskEnd = 'good') {
      ends.get(name)?.(end)
      await new Promise(setImmediate)
    },
  }
}

const CHAIN = { a: [], b: ['a'], c: ['b'], d: ['c'], other: [] }

test('a task builds on what was left of all before it, in their order, and not on the rest', async () => {
  const { tasks } = held(CHAIN)
  expect(await tasks.before('d', noTurn)).toBe(undefined)
  for (const name of ['c', 'a', 'other', 'd']) tasks.add(name, left(name))
  expect((await tasks.before('d', noTurn))?.outputs).toEqual([left('a'), left('c')])
  expect((await tasks.before('b', noTurn))?.outputs).toEqual([left('a')])
  expect(await tasks.before('other', noTurn)).toBe(undefined)
})

test('they are done again one after the other, once for all who need them', async () => {
  const { tasks, began, end } = held({ ...CHAIN, e: ['c'] })
  for (const name of ['a', 'b', 'c']) tasks.add(name, left(name))
  const [d, e] = [await tasks.before('d', noTurn), await tasks.before('e', noTurn)]
  const done: string[] = []
  const fetching = [d?.fetch().then(() => done.push('d')), e?.fetch().then(() => done.push('e'))]
  await new Promise(setImmediate)
  expect(began).toEqual(['a'])
  await end('a')
  expect(began).toEqual(['a', 'b'])
  // Who comes meanwhile waits for what is under way.
  const late = tasks.before('c', noTurn)
  await end('b')
  expect(await late).toBe(undefined)
  expect([began, done]).toEqual([['a', 'b', 'c'], []])
  await end('c')
  await Promise.all(fetching)
  expect([began, done]).toEqual([
    ['a', 'b', 'c'],
    ['d', 'e'],
  ])
  expect(await tasks.before('d', noTurn)).toBe(undefined)
})

test.each([
  ['failed', NOT_FETCHED],
  ['lacking', NO_MORE],
  ['not-begun', NO_MORE],
] as const)('one that is %s again is told to all who need it, when the others have ended', async (how, error) => {
  const { tasks, began, end } = held({ a: [], b: [], c: ['a', 'b'], d: ['a'] })
  for (const name of ['a', 'b']) tasks.add(name, left(name))
  let ended: unknown
  void (await tasks.before('c', noTurn))?.fetch().catch((reason: unknown) => {
    ended = reason
  })
  await new Promise(setImmediate)
  expect(began).toEqual(['a', 'b'])
  await end('a', how)
  expect(ended).toBe(undefined)
  await end('b')
  expect(ended).toBe(error)
  await expect(tasks.before('d', noTurn)).rejects.toBe(error)
})
