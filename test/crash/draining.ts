import type { Collected } from '../../src/store/local/collector/collected.ts'
import { drainSegment } from '../../src/store/local/collector/compaction-drain.ts'
import { quotaOf } from '../../src/store/local/collector/quota.ts'
import { compressionOf } from '../../src/store/local/compression.ts'
import { openJournal } from '../../src/store/local/journal.ts'
import { layoutOf } from '../../src/store/local/layout.ts'
import { fileLeases } from '../../src/store/local/leases.ts'
import { openIndex } from '../../src/store/local/open-index.ts'

/** What a collection does with a segment on a disk that has no room for a copy of it. */
export async function drainFirstSegment(dir: string): Promise<void> {
  const layout = layoutOf(dir)
  const leases = fileLeases(layout.locks)
  using index = await openIndex(layout, leases, { readOnly: false, durability: 'fast' })
  await using journal = openJournal({ layout, index, leases, durability: 'fast', now: Date.now })
  const parts: Collected = {
    layout,
    index,
    journal,
    leases,
    quota: quotaOf(dir),
    policy: 'lru',
    readOnly: false,
    peek: async () => undefined,
    compression: compressionOf('auto'),
    now: Date.now,
    flushMarks: async () => undefined,
  }
  await drainSegment(parts, 1)
}
