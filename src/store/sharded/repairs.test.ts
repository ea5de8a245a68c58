import { expect, test } from 'vitest'
import { SYSTEM_CLOCK } from '../guarded/clock.ts'
import { faultyEnd } from './faulty-end.fixture.ts'
import { Repairs } from './repairs.ts'

const shard = (name: string) => ({ name, weight: 1, end: faultyEnd() })

test('four at a time, and so many wait; the same is done once', async () => {
  const repairs = new Repairs(SYSTEM_CLOCK)
  const to = shard('a')
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  let running = 0
  let most = 0
  let done = 0
  const copy = async () => {
    most = Math.max(most, ++running)
    await held
    running--
    done++
  }
  for (let i = 0; i < 400; i++) {
    repairs.offer({ key: `${i}`, to, copy })
    repairs.offer({ key: `${i}`, to, copy })
  }
  letGo()
  await repairs[Symbol.asyncDispose]()
  expect([most, done]).toEqual([4, 4 + 256])
  repairs.offer({ key: 'late', to, copy })
  expect(done).toBe(260)
})

test('the same is done again when it was done before', async () => {
  const repairs = new Repairs(SYSTEM_CLOCK)
  let done = 0
  for (let i = 0; i < 2; i++) {
    const copied = Promise.withResolvers<void>()
    repairs.offer({ key: 'a', to: shard('a'), copy: async () => void ++done })
    repairs.offer({ key: 'last', to: shard('b'), copy: async () => copied.resolve() })
    await copied.promise
    await new Promise((resolve) => setImmediate(resolve))
  }
  await repairs[Symbol.asyncDispose]()
  expect(done).toBe(2)
})

test('an end that takes none is left alone for a while, and nobody hears of it', async () => {
  const repairs = new Repairs(SYSTEM_CLOCK)
  const [full, other] = [shard('full'), shard('other')]
  let asked = 0
  let copied = 0
  const offer = async (i: number) => {
    repairs.offer({ key: `${i}`, to: full, copy: async () => Promise.reject(new Error(`full ${++asked}`)) })
    repairs.offer({ key: `${i}`, to: other, copy: async () => void ++copied })
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (let i = 0; i < 65; i++) await offer(i)
  expect([asked, copied]).toEqual([1, 65])
  await offer(65)
  expect(asked).toBe(2)
  await repairs[Symbol.asyncDispose]()
})

test('what hangs does not hold up the end', async () => {
  const repairs = new Repairs(SYSTEM_CLOCK)
  const copy = (signal: AbortSignal) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  for (let i = 0; i < 9; i++) repairs.offer({ key: `${i}`, to: shard('a'), copy })
  await repairs[Symbol.asyncDispose]()
})
