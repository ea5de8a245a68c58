import { statSync } from 'node:fs'
import type { Leases } from '../contracts.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, segmentLease, segmentPath } from './layout.ts'
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
  const kept = index.sql('SELECT boot FROM state WHERE id=1').get()?.[0]
  if (kept === id) return true
  // Clocks are set; a minute either way is the same start.
  const [before, now] = [startMinute(String(kept)), startMinute(id)]
  return Math.abs(before - now) <= 1
}

/** Within a write transaction. */
export function setBoot(index: IndexDb, id: string): void {
  index.sql('UPDATE state SET boot=? WHERE id=1').run(id)
}

/**
 * After another start of the machine: false when the index is inconsistent, in itself or with the journal, of which what was
 * written since the last such check is read; it must then be built anew. Large blobs that the power cut took are forgotten.
 */
export async function checkAfterBoot(index: IndexDb, layout: Layout, leases: Leases, id: string): Promise<boolean> {
  if (index.lookUp(() => index.sql('PRAGMA quick_check(1)').get()?.[0], 'damaged') !== 'ok') return false
  // A page that was overwritten may read as one without the row: then no removal would be told of.
  if (index.sql('SELECT 1 FROM state WHERE id=1').get() === undefined) return false
  const [{ verifySegment }, { hasLostSegments, verifyFiles }] = await Promise.all([
    import('./verify-segment.ts'),
    import('./verify-files.ts'),
  ])
  // The index may be older than the journal: what was copied out of a segment that is gone is found where it was copied to.
  await recoverAll(index, layout, leases)
  if (await hasLostSegments(index, layout)) return false
  const segments = index.sql('SELECT id, indexed, verified FROM segments').all() as [number, number, number][]
  const checked = segments.flatMap(([segment, indexed, verified]) => {
    const fileBytes = statSync(segmentPath(layout, segment), { throwIfNoEntry: false })?.size ?? 0
    const from = Math.min(verified, fileBytes)
    return from < indexed ? [{ segment, from, to: Math.min(indexed, fileBytes) }] : []
  })
  // What the index says to be where it is not may still be elsewhere, as it was before it was copied.
  for (const { segment, from } of checked) if ((await verifySegment(index, layout, segment, from)) > 0) return false
  await verifyFiles(index, layout)
  await index.write(() => {
    const done = index.sql('UPDATE segments SET indexed=?, verified=? WHERE id=?')
    for (const { segment, to } of checked) done.run(to, to, segment)
    // What a result names is looked for once more, at its next look-up.
    index.raiseGeneration()
    setBoot(index, id)
  })
  return true
}

/** All segments but those that a writer holds already, who has recovered his own. */
async function recoverAll(index: IndexDb, layout: Layout, leases: Leases): Promise<void> {
  const [{ recoverSegment }, { segmentsOf }] = await Promise.all([import('./recover.ts'), import('./rebuild.ts')])
  for (const segment of segmentsOf(layout)) {
    await using lease = await leases.tryHold(segmentLease(segment))
    if (lease !== undefined) await recoverSegment(index, layout, segment)
  }
}

function startMinute(id: string): number {
  return id.startsWith('started ') ? Number(id.slice(8)) : Number.NaN
}
