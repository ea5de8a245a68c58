import { expect, test } from 'vitest'
import { asActionDigest } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { DEFAULT_SCOPE } from './contracts.ts'
import type { FleetHolder, FleetLease, FleetLeases, FleetTurn } from './fleet-leases.ts'

const A = asActionDigest(digestOf(Buffer.from('a')))
const B = asActionDigest(digestOf(Buffer.from('b')))
const OTHERS = { instance: 'others' }

/** Two ends of one fleet: what one holds, the other waits for. */
export interface FleetEnds extends AsyncDisposable {
  readonly one: FleetLeases
  readonly other: FleetLeases
}

/** What every FleetLeases keeps to. */
export function fleetLeasesContract(open: () => Promise<FleetEnds>): void {
  const cases = (name: string, check: (ends: FleetEnds) => Promise<void>) =>
    test(name, async () => {
      await using ends = await open()
      await check(ends)
    })

  cases('one holds; the other waits, is told by whom and since when, and hears the end', async ({ one, other }) => {
    const lease = held(await one.hold(DEFAULT_SCOPE, A, { label: 'build on one', usualMs: 7000 }))
    const waiting = beginToWait(other, A)
    const holder = await waiting.holder
    expect(holder).toEqual({ label: 'build on one', forMs: expect.any(Number), usualMs: 7000 })
    expect(holder.forMs).toBeGreaterThanOrEqual(0)
    await lease.end(true)
    expect(await waiting.turn).toEqual({ kind: 'ended', isKept: true })
  })

  cases('whoever keeps nothing says so to all at once', async ({ one, other }) => {
    const lease = held(await one.hold(DEFAULT_SCOPE, A, { label: '' }))
    const waiting = [beginToWait(other, A), beginToWait(one, A), beginToWait(other, A)]
    await Promise.all(waiting.map(({ holder }) => holder))
    await lease.end(false)
    expect(await Promise.all(waiting.map(({ turn }) => turn))).toEqual(
      waiting.map(() => ({ kind: 'ended', isKept: false })),
    )
    await held(await other.hold(DEFAULT_SCOPE, A, { label: '' })).end(true)
  })

  cases('a holder that goes without a word is followed by one of those who wait', async ({ one, other }) => {
    const lease = held(await one.hold(DEFAULT_SCOPE, A, { label: 'first' }))
    const waiting = [beginToWait(other, A, 'second'), beginToWait(one, A, 'third')]
    await Promise.all(waiting.map(({ holder }) => holder))
    await lease[Symbol.asyncDispose]()
    const turns = waiting.map(async ({ turn }, i) => ({ turn: await turn, i }))
    const first = await Promise.race(turns)
    await held(first.turn).end(true)
    const rest = await Promise.all(turns.filter((_, i) => i !== first.i))
    expect(rest.map(({ turn }) => turn)).toEqual([{ kind: 'ended', isKept: true }])
  })

  cases('who has waited enough leaves, and is passed over', async ({ one, other }) => {
    const lease = held(await one.hold(DEFAULT_SCOPE, A, { label: '' }))
    const impatient = new AbortController()
    const leaving = beginToWait(other, A, 'impatient', impatient.signal)
    await leaving.holder
    const staying = beginToWait(one, A)
    await staying.holder
    impatient.abort(new Error('enough'))
    await expect(leaving.turn).rejects.toThrow('enough')
    await lease[Symbol.asyncDispose]()
    await held(await staying.turn).end(false)
    await expect(
      other.hold(DEFAULT_SCOPE, A, { label: '', signal: AbortSignal.abort(new Error('no')) }),
    ).rejects.toThrow('no')
  })

  cases(
    'how long a thing took under a lease is known to all who do it or wait for it, whatever the action',
    async (ends) => {
      const { one, other } = ends
      const thing = { label: '', thing: 'compile' }
      expect(await other.usual(DEFAULT_SCOPE, ['compile', 'test'])).toEqual([undefined, undefined])
      await held(await one.hold(DEFAULT_SCOPE, A, thing)).end(true)
      await held(await one.hold(DEFAULT_SCOPE, A, { label: '', thing: 'test' })).end(false)
      await held(await one.hold(DEFAULT_SCOPE, A, { label: '', thing: 'lint' }))[Symbol.asyncDispose]()
      const known = await other.usual(DEFAULT_SCOPE, ['lint', 'compile', 'test'])
      expect(known).toEqual([undefined, expect.any(Number), undefined])
      expect(await other.usual(OTHERS, ['compile'])).toEqual([undefined])
      for (const [usualMs, told] of [
        [undefined, known[1]],
        [7000, 7000],
      ] as const) {
        const lease = held(await other.hold(DEFAULT_SCOPE, B, { ...thing, usualMs }))
        const waiting = beginToWait(one, B)
        expect((await waiting.holder).usualMs).toBe(told)
        await lease.end(false)
        await waiting.turn
      }
    },
  )

  cases('actions and instances do not wait for each other, and an ended lease can be had again', async (ends) => {
    const { one, other } = ends
    const leases = [
      held(await one.hold(DEFAULT_SCOPE, A, { label: '' })),
      held(await other.hold(DEFAULT_SCOPE, B, { label: '' })),
      held(await other.hold(OTHERS, A, { label: '' })),
    ]
    for (const lease of leases) await lease.end(true)
    for (const lease of leases) await lease[Symbol.asyncDispose]()
    await held(await other.hold(DEFAULT_SCOPE, A, { label: '' })).end(true)
  })
}

function held(turn: FleetTurn): FleetLease {
  if (turn.kind !== 'held') throw new Error(`the lease is not held: ${turn.kind}`)
  return turn.lease
}

function beginToWait(leases: FleetLeases, action: typeof A, label = '', signal?: AbortSignal) {
  const told = Promise.withResolvers<FleetHolder>()
  const turn = leases.hold(DEFAULT_SCOPE, action, { label, onWait: told.resolve, signal })
  turn.catch(() => undefined)
  return { turn, holder: told.promise }
}
