import { expect, test, vi } from 'vitest'
import type { FleetHolder, FleetHoldOptions } from '../../store/fleet-leases.ts'
import type { WorkLease } from '../../store/tiered/tiered.ts'
import type { KeyedAction } from '../key/keyed-action.ts'
import type { RunNotice, RunOutcome } from '../run-outcome.ts'
import { ActiveRun, type Fleet } from './run-action-active.ts'
import { boardFleet, leadFleet } from './run-action-fleet.ts'

/** A run of which only what the fleet asks for is there. */
function run(waitMs?: number) {
  const said: RunNotice[] = []
  const [request, engine] = [{}, { scope: { instance: '' } }] as never[]
  const options = { waitMs, notice: (notice: RunNotice) => said.push(notice) } as never
  return { run: new ActiveRun(request as never, engine as never, options, {} as never), said }
}

const action = { key: { hash: 'a', sizeBytes: 1 } } as unknown as KeyedAction

/** Somebody is at it, and stays at it. */
function busy(holder: FleetHolder, asked: FleetHoldOptions[] = []): Fleet {
  return {
    label: 'own',
    about: async () => ({ thing: 'thing', knownMs: 7_000, likelyMs: 7_000 }),
    hold: (_scope, _action, options) => {
      asked.push(options)
      options.onWait?.(holder)
      return new Promise((_, reject) =>
        options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true }),
      )
    },
  }
}

test('it is waited for twice as long as it takes, from when it was begun; then both do it', async () => {
  vi.useFakeTimers()
  try {
    for (const [holder, leftMs] of [
      [{ label: 'other', forMs: 3_000, usualMs: 5_000 }, 7_000],
      [{ label: 'other', forMs: 0, usualMs: undefined }, 14_000],
      [{ label: 'other', forMs: 60_000, usualMs: 5_000 }, 0],
    ] as const) {
      const { run: waiting, said } = run()
      let isOver = false
      const boarding = boardFleet(waiting, action, busy(holder)).finally(() => (isOver = true))
      await vi.advanceTimersByTimeAsync(Math.max(0, leftMs - 1))
      expect(isOver).toBe(leftMs === 0)
      await vi.advanceTimersByTimeAsync(1)
      expect(await boarding).toEqual({ kind: 'alone' })
      expect(said).toHaveLength(1)
    }
  } finally {
    vi.useRealTimers()
  }
})

test('a new holder is named and waited for anew; the same one is named once', async () => {
  vi.useFakeTimers()
  try {
    const asked: FleetHoldOptions[] = []
    const { run: waiting, said } = run()
    const boarding = boardFleet(waiting, action, busy({ label: 'first', forMs: 2_500, usualMs: 5_000 }, asked))
    await vi.advanceTimersByTimeAsync(7_000)
    asked[0]?.onWait?.({ label: 'first', forMs: 9_500, usualMs: 5_000 })
    asked[0]?.onWait?.({ label: 'second', forMs: 0, usualMs: 5_000 })
    await vi.advanceTimersByTimeAsync(9_000)
    asked[0]?.onWait?.({ label: 'third', forMs: 10, usualMs: 5_000 })
    await vi.advanceTimersByTimeAsync(9_990)
    expect(await boarding).toEqual({ kind: 'alone' })
    expect(said).toEqual([
      { kind: 'waiting', holder: 'first (another machine, for 2.5 s; usually 5.0 s)' },
      { kind: 'waiting', holder: 'second (another machine; usually 5.0 s)' },
      { kind: 'waiting', holder: 'third (another machine; usually 5.0 s)' },
    ])
  } finally {
    vi.useRealTimers()
  }
})

test.each([
  [10_000, 60_000],
  [45_000, 90_000],
])('of what nobody has done, and is thought to take %d ms, %d ms are waited for', async (likelyMs, mostMs) => {
  vi.useFakeTimers()
  try {
    const asked: FleetHoldOptions[] = []
    const { run: waiting, said } = run()
    const fleet = busy({ label: 'other', forMs: 1_500, usualMs: undefined }, asked)
    const about = async () => ({ thing: 'thing', knownMs: undefined, likelyMs })
    let isOver = false
    const boarding = boardFleet(waiting, action, { ...fleet, about }).finally(() => (isOver = true))
    await vi.advanceTimersByTimeAsync(mostMs - 1_501)
    expect(isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(await boarding).toEqual({ kind: 'alone' })
    expect(said).toEqual([{ kind: 'waiting', holder: 'other (another machine, for 1.5 s)' }])
    expect(asked).toMatchObject([{ thing: 'thing', usualMs: undefined, likelyMs }])
  } finally {
    vi.useRealTimers()
  }
})

test('what fails is as nobody', async () => {
  const asked: FleetHoldOptions[] = []
  const fleet = busy({ label: '', forMs: 0, usualMs: 1 }, asked)
  const { run: one } = run()
  expect(await boardFleet(one, action, { ...fleet, about: () => Promise.reject(new Error('no')) })).toEqual({
    kind: 'alone',
  })
  expect(asked).toEqual([])
  expect(await boardFleet(one, action, { ...fleet, hold: async () => undefined })).toEqual({ kind: 'alone' })
  expect(await boardFleet(one, action, { ...fleet, hold: () => Promise.reject(new Error('no')) })).toEqual({
    kind: 'alone',
  })
})

test.each([
  [{ status: 'miss', exitCode: 0 }, ['kept', 'left']],
  [{ status: 'uncached', exitCode: 1 }, ['nothing', 'left']],
  [{ status: 'uncached', exitCode: 130 }, ['left']],
] as const)('of %j others hear %j', async (outcome, told) => {
  const heard: string[] = []
  const lease: WorkLease = {
    end: (how) => void heard.push(how),
    [Symbol.asyncDispose]: async () => void heard.push('left'),
  }
  expect(await leadFleet(lease, async () => outcome as unknown as RunOutcome)).toBe(outcome)
  expect(heard).toEqual(told)
})
