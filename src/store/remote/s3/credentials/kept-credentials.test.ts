import { expect, test } from 'vitest'
import { KeptCredentials } from './kept-credentials.ts'
import type { LentCredentials } from './lent-credentials.ts'

const MINUTE = 60_000

/** Lends numbered ones that last so long, when it is told to answer. */
function lending(lastMs: number) {
  let now = 1_000_000_000
  let count = 0
  const waiting: (() => void)[] = []
  const faults: Error[] = []
  const find = async (): Promise<LentCredentials> => {
    count++
    const mine = count
    await new Promise<void>((resolve) => waiting.push(resolve))
    const fault = faults.shift()
    if (fault !== undefined) throw fault
    return { accessKeyId: `${mine}`, secretAccessKey: 'x', expiresMs: now + lastMs }
  }
  const kept = new KeptCredentials(find, () => now)
  return {
    kept,
    count: () => count,
    fail: (fault: Error) => faults.push(fault),
    pass: (ms: number) => {
      now += ms
    },
    answer: async () => {
      waiting.shift()?.()
      // What waits for the answer is a few turns away.
      await new Promise((resolve) => setImmediate(resolve))
    },
    id: async () => (await kept.get())?.accessKeyId,
  }
}

test('all who ask at the same time wait for the same', async () => {
  const { kept, count, answer } = lending(60 * MINUTE)
  const asked = [kept.get(), kept.get(new AbortController().signal)]
  await answer()
  const [one, other] = await Promise.all(asked)
  expect([one?.accessKeyId, other, count()]).toEqual(['1', one, 1])
})

test('five minutes before their end others are asked for, once, while nobody waits', async () => {
  const { id, count, answer, pass } = lending(60 * MINUTE)
  const first = id()
  await answer()
  expect(await first).toBe('1')
  pass(55 * MINUTE - 1)
  expect([await id(), count()]).toEqual(['1', 1])
  pass(1)
  expect([await id(), await id(), count()]).toEqual(['1', '1', 2])
  await answer()
  expect([await id(), count()]).toEqual(['2', 2])
})

test('asked for in vain, those that are there are used on, and it is tried again a little later', async () => {
  const { id, count, answer, pass, fail } = lending(60 * MINUTE)
  const first = id()
  await answer()
  await first
  pass(56 * MINUTE)
  fail(new Error('away'))
  expect(await id()).toBe('1')
  await answer()
  expect([await id(), count()]).toEqual(['1', 2])
  pass(15_000)
  expect([await id(), count()]).toEqual(['1', 3])
  await answer()
  expect(await id()).toBe('3')
})

test('those that are about to end are waited out by nobody', async () => {
  const { id, answer, pass, fail } = lending(60 * MINUTE)
  const first = id()
  await answer()
  await first
  pass(60 * MINUTE - 30_000)
  const second = id()
  await answer()
  expect(await second).toBe('2')
  pass(60 * MINUTE - 30_000)
  fail(new Error('away'))
  const third = id()
  const told = expect(third).rejects.toThrow('away')
  await answer()
  await told
  const fourth = id()
  await answer()
  expect(await fourth).toBe('4')
})

test('those that were refused are asked for anew, once, by all whose requests they were', async () => {
  const { kept, id, count, answer } = lending(60 * MINUTE)
  const first = id()
  await answer()
  await first
  const old = await kept.get()
  const others = [kept.insteadOf(old), kept.insteadOf(old)]
  await answer()
  expect((await Promise.all(others)).map((each) => each?.accessKeyId)).toEqual(['2', '2'])
  // Of a request that was on its way meanwhile.
  expect((await kept.insteadOf(old))?.accessKeyId).toBe('2')
  kept.forget(old)
  expect([await id(), count()]).toEqual(['2', 2])
})

test('the same again are no others', async () => {
  const same = { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: undefined }
  const kept = new KeptCredentials(async () => ({ ...same }))
  expect(await kept.insteadOf(await kept.get())).toBeUndefined()
  const tokens = ['t', 'u'].values()
  const changing = new KeptCredentials(async () => ({ ...same, sessionToken: tokens.next().value }))
  expect(await changing.insteadOf(await changing.get())).toMatchObject({ sessionToken: 'u' })
})

test('who has no patience leaves, and the others go on', async () => {
  const { kept, answer } = lending(60 * MINUTE)
  const control = new AbortController()
  const asked = [kept.get(), kept.get(control.signal)] as const
  control.abort(new Error('enough'))
  await expect(asked[1]).rejects.toThrow('enough')
  await answer()
  expect((await asked[0])?.accessKeyId).toBe('1')
  await expect(kept.get(control.signal)).rejects.toThrow('enough')
})
