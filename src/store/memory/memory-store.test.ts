import { actionStoreContract } from '../action-store.contract.ts'
import { blobNamesContract } from '../blob-names.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { leasesContract } from '../leases.contract.ts'
import { workspaceRecordsContract } from '../workspace-records.contract.ts'
import { memoryStore } from './memory-store.ts'

const open = async () => ({ ...memoryStore(), async [Symbol.asyncDispose]() {} })

blobStoreContract('memory', open)
blobNamesContract('memory', open)
actionStoreContract('memory', open)
workspaceRecordsContract('memory', open)
leasesContract('memory', () => memoryStore().leases)
