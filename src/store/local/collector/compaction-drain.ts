import { truncateSync, unlinkSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { isDiskFull } from '../explained.ts'
import { segmentLease, segmentPath } from '../layout.ts'
import { setIndexed } from '../recover.ts'
import { scanSegment } from '../salvage.ts'
import type { Collected } from './collected.ts'
import { SegmentCopy } from './compaction-copy.ts'
import { forgetLostSegments, forgetRows, syncSegment } from './segment-end.ts'

/** Copied before what it was copied from is cut off: so much room is needed. */
const CUT_BYTES = 128 << 10
const RECORDS_A_STEP = 100

/**
 * Compacts a segment where there is no room for a copy of what lives in it: from its end, cutting off what was copied. Killed
 * in between, what was copied is there and what was not is still there. Stops where not even that finds room.
 */
export async function drainSegment(parts: Collected, segment: number, signal?: AbortSignal): Promise<void> {
  const { index, layout, leases } = parts
  await using lease = await leases.tryHold(segmentLease(segment))
  if (lease === undefined) return
  const path = segmentPath(layout, segment)
  const cuts = await cutsOf(path, segment)
  for (let to = cuts.pop(); cuts.length > 0; ) {
    signal?.throwIfAborted()
    const from = cuts.pop() as number
    const copy = new SegmentCopy(parts, segment)
    try {
      for (const found of scanSegment(path, segment, { from, to: to as number })) await copy.add(found)
      await copy.flush()
      for (const target of copy.targets) await syncSegment(layout, target)
      truncateSync(path, from)
      await index.write(() => setIndexed(index, segment, from))
    } catch (error) {
      if (isDiskFull(error)) return
      throw error
    }
    to = from
    await breathe()
  }
  await forgetRows(index, segment, signal)
  unlinkSync(path)
  await forgetLostSegments(index, layout)
}

/** Where records start, about every {@link CUT_BYTES}, and where the last one ends. */
async function cutsOf(path: string, segment: number): Promise<number[]> {
  const cuts = [0]
  let end = 0
  let scanned = 0
  for (const { place } of scanSegment(path, segment, { headsOnly: true })) {
    if (
      place.offset + place.recordBytes > (cuts.at(-1) as number) + CUT_BYTES &&
      place.offset > (cuts.at(-1) as number)
    )
      cuts.push(place.offset)
    end = place.offset + place.recordBytes
    if (++scanned % RECORDS_A_STEP === 0) await breathe()
  }
  cuts.push(end)
  return cuts
}
