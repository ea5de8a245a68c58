import { lstatSync } from 'node:fs'
import { expect, test } from 'vitest'
import { statIdentity } from '../../digest/stat-identity.ts'
import { Checkout } from '../key/key.fixture.ts'
import { hashInput, turnTaker } from './input-hash.ts'

test('a file that could change unseen gets an identity that equals nothing', () => {
  using checkout = new Checkout({ a: 'a' })
  expect(hashInput(`${checkout.root}/`, 'a').identity.mtimeMs).toBeNaN()
  checkout.settle()
  expect(hashInput(`${checkout.root}/`, 'a').identity).toEqual(statIdentity(lstatSync(checkout.path('a'))))
})

test('others get a turn, and an aborted signal ends the work', async () => {
  const controller = new AbortController()
  const takeTurn = turnTaker(controller.signal)
  expect(takeTurn()).toBeUndefined()
  setImmediate(() => controller.abort(new Error('enough')))
  const work = async (): Promise<void> => {
    for (;;) await takeTurn()
  }
  await expect(work()).rejects.toThrow('enough')
})
