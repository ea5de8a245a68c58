import { openLocalStore } from '../../src/store/local/local-store.ts'
import { openRemote } from '../../src/store/remote/open-remote.ts'
import { tiered } from '../../src/store/tiered/tiered.ts'
import { saveEntry } from './entries.ts'

/**
 * A process that keeps entries in a store, and uploads them to a server, until it is killed or has done its rounds:
 *
 *     node tiers-worker.ts DIR ADDRESS SEED ROUNDS LARGE_BYTES
 */
const [dir = '', address = '', seed = '', rounds = '1', largeBytes = '0'] = process.argv.slice(2)
const shape = { files: 6, fileBytes: 3000, sharedFiles: 2, largeBytes: Number(largeBytes) }

await using near = await openLocalStore({ dir })
await using end = await openRemote(address)
await using tier = tiered(near, async () => end, { place: 'server' })
process.stdout.write('ready\n')
for (let round = 0; round < Number(rounds); round++) {
  await saveEntry({ actions: tier.actions, blobs: tier.blobs }, `${seed}-${round}`, shape)
  process.stdout.write(`saved ${seed}-${round}\n`)
}
await tier.flush(60_000)
process.stdout.write('done\n')
