import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CommandTurn } from './action/run-outcome.ts'
import { type Cache, openCache } from './cache.ts'

let folder: string
let cache: Cache
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recue-turns-'))
  cache = await openCache({ cacheDir: join(folder, 'cache') })
})
afterEach(async () => {
  await cache.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A turn that comes when the test says so. */
function late() {
  const asked = Promise.withResolvers<void>()
  const turn = Promise.withResolvers<CommandTurn>()
  let times = 0
  return {
    turn: () => {
      times++
      asked.resolve()
      return turn.promise
    },
    times: () => times,
    isAsked: asked.promise,
    come: (hasWaited: boolean) => turn.resolve({ hasWaited, giveBack() {} }),
    never: (reason: Error) => turn.reject(reason),
  }
}

function work() {
  const calls: string[] = []
  return { calls, does: (who: string) => ({ name: 'work', fn: () => void calls.push(who) }) }
}

test.each([
  ['kept', {}],
  ['not kept', { write: false }],
  ['kept without a look', { read: false }],
])('a command whose result is %s begins in its turn, of which one is taken', async (_, options) => {
  const { calls, does } = work()
  const own = late()
  const run = cache.run(does('first'), { ...options, turn: own.turn })
  await own.isAsked
  expect(calls).toEqual([])
  own.come(true)
  const { outcome } = await run
  expect([calls, own.times()]).toEqual([['first'], 1])
  // The wait is not recue's own time.
  expect(outcome.ownMs).toBeLessThanOrEqual(outcome.durationMs)
})

test('a hit takes no turn', async () => {
  const { calls, does } = work()
  await cache.run(does('first'))
  const own = late()
  expect((await cache.run(does('second'), { turn: own.turn })).outcome.status).toBe('hit')
  expect([calls, own.times()]).toEqual([['first'], 0])
})

test('what came while others had their turns is a hit; where nobody was waited for, nobody looks again', async () => {
  for (const hasWaited of [true, false]) {
    const { calls, does } = work()
    const name = `work ${hasWaited}`
    const own = late()
    const run = cache.run({ ...does('first'), name }, { turn: own.turn })
    await own.isAsked
    // It asks nobody whether somebody is at it.
    await cache.run({ ...does('second'), name }, { read: false })
    own.come(hasWaited)
    expect((await run).outcome.status).toBe(hasWaited ? 'hit' : 'miss')
    expect(calls).toEqual(hasWaited ? ['second'] : ['second', 'first'])
  }
})

test('who gets no turn has not begun, and leaves the work to who waits for it', async () => {
  const { calls, does } = work()
  const own = late()
  const run = cache.run(does('first'), { turn: own.turn })
  await own.isAsked
  const waits = Promise.withResolvers<void>()
  const other = cache.run(does('second'), { notice: ({ kind }) => kind === 'waiting' && waits.resolve() })
  await waits.promise
  own.never(new Error('no more'))
  await expect(run).rejects.toThrow('no more')
  expect((await other).outcome.status).toBe('miss')
  expect(calls).toEqual(['second'])
  expect(cache.records.names('flight', '')).toEqual([])
})
