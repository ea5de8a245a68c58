import { once } from 'node:events'
import { expect, test } from 'vitest'
import { type BatchItem, BatchQueue } from './batch-queue.ts'

type Item = BatchItem

const item = (bytes: number, group = ''): Item => ({ bytes, group })
const LIMITS = async () => ({ mostBytes: 100, mostItems: 3 })

/** Calls stand until they are let go. */
function held() {
  const calls: { readonly bytes: number[]; readonly groups: Set<string>; readonly signal: AbortSignal; end(): void }[] =
    []
  const send = (items: readonly Item[], signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>()
    signal.addEventListener('abort', () => reject(signal.reason))
    const bytes = items.map((one) => one.bytes)
    calls.push({ bytes, groups: new Set(items.map(({ group }) => group)), signal, end: () => resolve(bytes) })
    return promise
  }
  const queue = new BatchQueue<Item, number>({ limits: LIMITS, send, mostCalls: 4 })
  return { queue, calls }
}

const turn = () => new Promise(setImmediate)
const turns = async () => {
  for (let i = 0; i < 10; i++) await turn()
}

test('a call holds no more bytes and items than it may, of one group; what is larger goes alone', async () => {
  const { queue, calls } = held()
  const sizes = [60, 40, 1, 300, 5, 5, 5, 5]
  const answers = sizes.map((size) => queue.ask(item(size)))
  const other = queue.ask(item(7, 'other'))
  await turns()
  expect(calls.map(({ bytes }) => bytes)).toEqual([[60, 40], [1, 5, 5], [300], [5, 5]])
  for (const call of calls.slice(0, 4)) call.end()
  await turns()
  expect(calls[4]).toMatchObject({ bytes: [7], groups: new Set(['other']) })
  calls[4]?.end()
  expect(await Promise.all(answers)).toEqual(sizes)
  expect(await other).toBe(7)
})

test('while four calls are under way, what is asked for gathers', async () => {
  const { queue, calls } = held()
  const answers: Promise<number>[] = []
  for (let i = 0; i < 4; i++) {
    answers.push(queue.ask(item(100)))
    await turns()
  }
  answers.push(queue.ask(item(1)), queue.ask(item(2)))
  await turns()
  expect(calls).toHaveLength(4)
  calls[0]?.end()
  await turns()
  expect(calls[4]?.bytes).toEqual([1, 2])
  for (const call of calls) call.end()
  await Promise.all(answers)
})

test('a call ends when the last who waited for it has given up, and not before', async () => {
  const { queue, calls } = held()
  const [one, other, late] = [new AbortController(), new AbortController(), new AbortController()]
  const asked = [queue.ask(item(1), one.signal), queue.ask(item(2), other.signal), queue.ask(item(100), late.signal)]
  const ends = asked.map((promise) => promise.catch((error: Error) => error.message))
  late.abort(new Error('never sent'))
  await turns()
  expect(calls.map(({ bytes }) => bytes)).toEqual([[1, 2]])
  const signal = calls[0]?.signal as AbortSignal
  one.abort(new Error('first'))
  await turns()
  expect(signal.aborted).toBe(false)
  const aborted = once(signal, 'abort')
  other.abort(new Error('second'))
  await aborted
  expect(await Promise.all(ends)).toEqual(['first', 'second', 'never sent'])
})

test('a failure is that of the item, of the call, or of all where there are no limits', async () => {
  const send = async (items: readonly Item[]) => {
    if (items.length === 1) throw new Error('the call')
    return items.map(({ bytes }) => (bytes === 1 ? new Error('the item') : bytes))
  }
  const failing = new BatchQueue<Item, number>({ limits: LIMITS, send, mostCalls: 4 })
  const two = [failing.ask(item(1)), failing.ask(item(2))]
  await expect(two[0]).rejects.toThrow('the item')
  expect(await two[1]).toBe(2)
  await expect(failing.ask(item(3))).rejects.toThrow('the call')
  const limits = () => Promise.reject(new Error('no limits'))
  const limitless = new BatchQueue<Item, number>({ limits, send: async () => [], mostCalls: 4 })
  const all = await Promise.allSettled([limitless.ask(item(1)), limitless.ask(item(2))])
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
})
