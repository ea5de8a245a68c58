import { expect, test } from 'vitest'
import { asActionDigest } from '../../digest/digest.ts'
import { DEFAULT_SCOPE } from '../contracts.ts'
import { fleetLeasesContract } from '../fleet-leases.contract.ts'
import type { FleetTurn } from '../fleet-leases.ts'
import { memoryFleetLeases } from './memory-fleet-leases.ts'

fleetLeasesContract(async () => {
  const leases = memoryFleetLeases()
  return { one: leases, other: leases, [Symbol.asyncDispose]: async () => undefined }
})

const ACTION = asActionDigest({ hash: 'a'.repeat(64), sizeBytes: 1 })

async function end(turn: FleetTurn): Promise<void> {
  if (turn.kind === 'held') await turn.lease.end(true)
}

test('a thing takes as long as it was held, and of who took it over from another, since then', async () => {
  let nowMs = 1_000
  const leases = memoryFleetLeases(() => nowMs)
  const asked = { label: '', thing: 'compile' }
  const first = await leases.hold(DEFAULT_SCOPE, ACTION, asked)
  const heir = leases.hold(DEFAULT_SCOPE, ACTION, asked)
  nowMs += 60_000
  if (first.kind === 'held') await first.lease[Symbol.asyncDispose]()
  const turn = await heir
  nowMs += 5_000
  await end(turn)
  expect(await leases.usual(DEFAULT_SCOPE, ['compile'])).toEqual([5_000])
})

test('of a great many things those that were done last are known', async () => {
  const leases = memoryFleetLeases(() => 0)
  for (let number = 0; number <= 10_000; number++) {
    await end(await leases.hold(DEFAULT_SCOPE, ACTION, { label: '', thing: `thing ${number}` }))
    if (number === 5_000) await end(await leases.hold(DEFAULT_SCOPE, ACTION, { label: '', thing: 'thing 0' }))
  }
  const asked = ['thing 0', 'thing 1', 'thing 2', 'thing 10000']
  const known = await leases.usual(DEFAULT_SCOPE, asked)
  expect(known.map((ms) => ms !== undefined)).toEqual([true, false, true, true])
})
