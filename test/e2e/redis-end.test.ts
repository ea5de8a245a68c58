import { test } from 'vitest'
import { actionStoreContract } from '../../src/store/action-store.contract.ts'
import { blobStoreContract } from '../../src/store/blob-store.contract.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'
import { REDIS_SKIPPED, RedisProcess } from './redis-server.ts'
import { skipIf } from './skip-if.ts'

/** Large blobs are let in here, so that the contract is asked of them, too. */
async function open() {
  const server = await RedisProcess.start()
  const end = await openRemote(`${server.address}/3?max-blob=8MiB&ttl=1h`)
  return {
    ...end,
    async [Symbol.asyncDispose]() {
      await end[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

if (REDIS_SKIPPED) {
  test('the Redis end', (context) => skipIf(REDIS_SKIPPED, context))
} else {
  blobStoreContract('redis', open)
  actionStoreContract('redis', open)
}
