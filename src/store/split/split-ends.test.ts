import { expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { action, actionStoreContract, result } from '../action-store.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { memoryActions } from '../memory/memory-actions.ts'
import { memoryStore } from '../memory/memory-store.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { splitEnds } from './split-ends.ts'

interface TestedEnd extends RemoteEnd {
  isDisposed: boolean
}

function memoryEnd(): TestedEnd {
  const { blobs, actions } = memoryStore()
  return {
    ...{ blobs, actions, actionsOver: memoryActions, isDisposed: false, receivedBytes: () => 20 },
    async [Symbol.asyncDispose]() {
      this.isDisposed = true
    },
  }
}

const open = async () => splitEnds({ blobs: memoryEnd(), results: memoryEnd() })

blobStoreContract('split', open)
actionStoreContract('split', open)

test('a result is complete by the blobs of the one end, whatever the other has', async () => {
  const [blobs, results] = [memoryEnd(), memoryEnd()]
  await using end = splitEnds({ blobs, results })
  const bytes = Buffer.from('content')
  await results.blobs.write(scope, digestOf(bytes), bytes)
  const put = () => end.actions.put(scope, action('a'), result([digestOf(bytes)]))
  await expect(put()).rejects.toMatchObject({ code: 'store.incomplete' })
  await blobs.blobs.write(scope, digestOf(bytes), bytes)
  expect(await put()).toBe('new')
  expect(await blobs.actions.get(scope, action('a'))).toMatchObject({ kind: 'miss' })
  expect(await end.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
})

test('both are closed, also where one cannot be', async () => {
  const [blobs, results] = [memoryEnd(), memoryEnd()]
  const end = splitEnds({ blobs, results })
  expect(end.receivedBytes?.()).toBe(40)
  await end[Symbol.asyncDispose]()
  expect([blobs.isDisposed, results.isDisposed]).toEqual([true, true])
  const broken: RemoteEnd = { ...memoryEnd(), [Symbol.asyncDispose]: () => Promise.reject(new Error('stuck')) }
  const other = memoryEnd()
  await expect(splitEnds({ blobs: other, results: broken })[Symbol.asyncDispose]()).rejects.toThrow('stuck')
  expect(other.isDisposed).toBe(true)
})

test('frames and the short way are those of the end with the blobs', async () => {
  const frames = { readFrame: async () => undefined, writeFrame: async () => undefined }
  const fetches = { fetchInto: async () => false }
  const end = splitEnds({ blobs: { ...memoryEnd(), frames, fetches }, results: memoryEnd() })
  expect(end).toMatchObject({ frames, fetches })
  expect('frames' in splitEnds({ blobs: memoryEnd(), results: { ...memoryEnd(), frames } })).toBe(false)
})

test('an end that judges results itself is of no use for them', () => {
  const { actionsOver, ...server } = memoryEnd()
  expect(actionsOver).toBeDefined()
  expect(() => splitEnds({ blobs: memoryEnd(), results: server })).toThrow(
    expect.objectContaining({ code: 'usage', hint: expect.stringContaining('Redis') }),
  )
})
