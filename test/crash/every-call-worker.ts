import { writeSync } from 'node:fs'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { checkEntry, saveEntry } from './entries.ts'
import { MIXED, OLD } from './every-call-entries.ts'
import { gate } from './gate.ts'

/** One thing done behind a gate, so that it can be killed in each of its system calls: `node every-call-worker.ts DIR JOB DURABILITY`. */
const [dir = '', job = '', durability = 'fast'] = process.argv.slice(2) as [string?, string?, ('fast' | 'full')?]

// What is loaded lazily is loaded before.
await Promise.all([
  import('../../src/store/local/journal.ts'),
  import('../../src/store/local/large-blob-writer.ts'),
  import('../../src/store/local/rebuild.ts'),
  import('../../src/store/local/collector/catalog.ts'),
])
await gate()
{
  await using store = await openLocalStore({ dir, durability })
  if (job === 'put')
    for (const name of ['new-0', 'new-1']) {
      await saveEntry(store, name, MIXED)
      writeSync(1, `saved ${name}\n`)
    }
  if (job === 'collect') {
    await store.catalog.collect({ targetBytes: 2_500_000 })
    for (const name of OLD) if ((await checkEntry(store, name, MIXED)) === 'whole') writeSync(1, `kept ${name}\n`)
  }
}
writeSync(1, 'done\n')
