import { actionStoreContract } from '../action-store.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { openLocalStore } from '../local/local-store.ts'
import { temporaryFolder } from '../local/temporary-store.fixture.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { tiered } from './tiered.ts'

const place = 'memory'

const overLocal = async () => {
  const stack = new AsyncDisposableStack()
  const dir = temporaryFolder((clean) => stack.defer(clean))
  const near = stack.use(await openLocalStore({ dir }))
  const { blobs, actions } = stack.use(tiered(near, async () => memoryStore(), { place }))
  return { blobs, actions, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const threeLevels = async () => {
  const stack = new AsyncDisposableStack()
  const middle = stack.use(tiered(memoryStore(), async () => memoryStore(), { place: 'third' }))
  const { blobs, actions } = stack.use(tiered(memoryStore(), async () => middle, { place: 'second' }))
  return { blobs, actions, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

blobStoreContract('tiered(local, memory)', overLocal)
actionStoreContract('tiered(local, memory)', overLocal)
actionStoreContract('tiered(memory, tiered(memory, memory))', threeLevels)
