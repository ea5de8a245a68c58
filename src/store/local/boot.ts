import type { IndexDb } from './index-db.ts'
import type { Layout } from './layout.ts'
import { readSmallFile } from './small-file.ts'

/**
 * Which start of the operating system this is: what was written without fsync before another one may be gone. On Linux
 * the kernel's boot id; elsewhere the time of the start, to the minute.
 */
export function bootId(): string {
  try {
    return readSmallFile('/proc/sys/kernel/random/boot_id').trim()
  } catch {
    return `started ${Math.round((Date.now() / 1000 - process.getBuiltinModule('node:os').uptime()) / 60)}`
  }
}

/** Whether what the index says was written since the machine was last started, or checked since. */
export function isOfThisBoot(index: IndexDb, id: string): boolean {
  const kept = index.sql("SELECT value FROM meta WHERE name='boot'").get()?.[0]
  if (kept === id) return true
  // Clocks are set; a minute either way is the same start.
  const [before, now] = [startMinute(String(kept)), startMinute(id)]
  return Math.abs(before - now) <= 1
}

/** Within a write transaction. */
export function setBoot(index: IndexDb, id: string): void {
  index.sql("INSERT OR REPLACE INTO meta (name, value) VALUES ('boot', ?)").run(id)
}

/**
 * After another start of the machine: false when SQLite finds the index inconsistent, which must then be built anew. Else
 * what was written to the journal since the last such check is read, and what the power cut took is forgotten.
 */
export async function checkAfterBoot(index: IndexDb, layout: Layout, id: string): Promise<boolean> {
  if (index.lookUp(() => index.sql('PRAGMA quick_check(1)').get()?.[0], 'damaged') !== 'ok') return false
  const { verifySegment } = await import('./verify-segment.ts')
  const segments = index.sql('SELECT id, indexed, verified FROM segments WHERE verified<indexed').all()
  for (const [segment, , verified] of segments) await verifySegment(index, layout, Number(segment), Number(verified))
  await index.write(() => {
    const done = index.sql('UPDATE segments SET verified=? WHERE id=?')
    for (const [segment, indexed] of segments) done.run(indexed as number, segment as number)
    setBoot(index, id)
  })
  return true
}

function startMinute(id: string): number {
  return id.startsWith('started ') ? Number(id.slice(8)) : Number.NaN
}
