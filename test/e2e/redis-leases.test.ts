import { expect, test } from 'vitest'
import { action } from '../../src/store/action-store.contract.ts'
import { DEFAULT_SCOPE as scope } from '../../src/store/contracts.ts'
import { fleetLeasesContract } from '../../src/store/fleet-leases.contract.ts'
import { parseRedis } from '../../src/store/remote/redis/redis-address.ts'
import { RedisClient } from '../../src/store/remote/redis/redis-client.ts'
import { redisLeases } from '../../src/store/remote/redis/redis-leases.ts'
import { REDIS_SKIPPED, RedisProcess } from './redis-server.ts'
import { skipIf } from './skip-if.ts'

const PATIENCE = { connectMs: 5_000, idleMs: 10_000 }
const LAPSE_MS = 300

/** Of two servers that share a Redis. */
async function open(options = {}) {
  const redis = await RedisProcess.start()
  const clients = [0, 1].map(() => new RedisClient(parseRedis(redis.address, {}), PATIENCE))
  const [one, other] = clients as [RedisClient, RedisClient]
  return {
    ...{ client: one, one: redisLeases(one, options), other: redisLeases(other, options) },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]()
      await redis[Symbol.asyncDispose]()
    },
  }
}

function tests(): void {
  fleetLeasesContract(open)

  test('a lease whose server is gone lapses; one that is held stands', async () => {
    await using ends = await open({ lapseMs: LAPSE_MS })
    const gone = JSON.stringify({ token: 't', label: 'gone', sinceMs: Date.now() })
    await ends.client.ask({ args: ['SET', `recue:lease::${action('a').hash}`, gone, 'PX', LAPSE_MS] })
    const standing = await ends.one.hold(scope, action('b'), { label: 'standing' })
    const told: string[] = []
    const onWait = ({ label }: { readonly label: string }) => told.push(label)
    expect((await ends.other.hold(scope, action('a'), { label: '', onWait })).kind).toBe('held')
    // By now the other one would have lapsed, too.
    const signal = AbortSignal.timeout(LAPSE_MS)
    await expect(ends.other.hold(scope, action('b'), { label: '', onWait, signal })).rejects.toThrow()
    expect(told).toEqual(['gone', 'standing'])
    if (standing.kind === 'held') await standing.lease.end(true)
  })

  test('what is no lease is waited for until it lapses', async () => {
    await using ends = await open()
    await ends.client.ask({ args: ['SET', `recue:lease::${action('a').hash}`, 'no lease', 'PX', LAPSE_MS] })
    expect((await ends.one.hold(scope, action('a'), { label: '' })).kind).toBe('held')
  })
}

if (REDIS_SKIPPED) test('leases in a Redis', (context) => skipIf(REDIS_SKIPPED, context))
else tests()
