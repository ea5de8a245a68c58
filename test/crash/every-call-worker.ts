import { closeSync, openSync, writeSync } from 'node:fs'
import { DEFAULT_SCOPE } from '../../src/store/contracts.ts'
import { type LocalStore, openLocalStore } from '../../src/store/local/local-store.ts'
import { checkEntry, saveEntry } from './entries.ts'
import { MIXED, OLD, sourceOf } from './every-call-entries.ts'
import { gate } from './gate.ts'

/** One thing done behind a gate, so that it can be killed in each of its system calls: `node every-call-worker.ts DIR JOB DURABILITY`. */
const [dir = '', job = '', durability = 'fast'] = process.argv.slice(2) as [string?, string?, ('fast' | 'full')?]

// What is loaded lazily is loaded before.
await Promise.all([
  import('../../src/store/local/journal.ts'),
  import('../../src/store/local/large-blob-writer.ts'),
  import('../../src/store/local/chunked-writer.ts'),
  import('../../src/store/local/large-blob-files.ts'),
  import('../../src/store/local/rebuild.ts'),
  import('../../src/store/local/collector/catalog.ts'),
])
const { drainFirstSegment } = await import('./draining.ts')
await gate()
if (job === 'drain') await drainFirstSegment(dir)
else {
  await using store = await openLocalStore({ dir, durability, chunking: job === 'put-chunked' ? 'fastcdc' : 'off' })
  if (job.startsWith('put'))
    for (const name of ['new-0', 'new-1']) {
      if (job === 'put-cloned') await clone(store, sourceOf(dir, name))
      await saveEntry(store, name, MIXED)
      writeSync(1, `saved ${name}\n`)
    }
  if (job === 'collect') {
    await store.catalog.collect({ targetBytes: 2_500_000 })
    for (const name of OLD) if ((await checkEntry(store, name, MIXED)) === 'whole') writeSync(1, `kept ${name}\n`)
  }
}
writeSync(1, 'done\n')

async function clone(store: LocalStore, path: string): Promise<void> {
  const file = openSync(path, 'r')
  const digest = await store.files.ingestFile(DEFAULT_SCOPE, { file, path })
  closeSync(file)
  if (digest === undefined) throw new Error(`${path} was not cloned`)
}
