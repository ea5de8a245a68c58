import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { actionStoreContract } from '../action-store.contract.ts'
import { blobNamesContract } from '../blob-names.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { leasesContract } from '../leases.contract.ts'
import { workspaceRecordsContract } from '../workspace-records.contract.ts'
import { fileLeases } from './leases.ts'
import { type LocalStore, type LocalStoreOptions, openLocalStore } from './local-store.ts'

for (const [name, options] of Object.entries({
  local: {},
  'local, full durability, not compressed': { durability: 'full', compression: 'off', inlineBytes: 0 },
  'local, in chunks': { chunking: 'fastcdc' },
} satisfies Record<string, Omit<LocalStoreOptions, 'dir'>>)) {
  const open = () => openTemporary(options)
  blobStoreContract(name, open)
  blobNamesContract(name, open)
  actionStoreContract(name, open)
  workspaceRecordsContract(name, open)
}

leasesContract('local', () => fileLeases(join(mkdtempSync(join(tmpdir(), 'recue-leases-')), 'locks')))

/** A store in a folder that goes with it. */
async function openTemporary(options: Omit<LocalStoreOptions, 'dir'>): Promise<LocalStore> {
  const dir = mkdtempSync(join(tmpdir(), 'recue-store-'))
  const store = await openLocalStore({ ...options, dir })
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
