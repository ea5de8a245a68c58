import { actionStoreContract } from '../action-store.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { guarded } from './guarded.ts'

// Over real servers: test/e2e/guarded-ends.test.ts.
const overMemory = async () => guarded({ ...memoryStore(), async [Symbol.asyncDispose]() {} }, { place: 'memory' })

blobStoreContract('guarded memory', overMemory)
actionStoreContract('guarded memory', overMemory)
