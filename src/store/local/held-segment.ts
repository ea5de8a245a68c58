import { close, existsSync, mkdirSync, open, readdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { systemCode } from '../../errors.ts'
import type { Lease, Leases } from '../contracts.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, segmentLease, segmentOfName, segmentPath } from './layout.ts'
import { indexedBytes, recoverSegment, stagingSegments } from './recover.ts'
import { syncFolder } from './sync-folder.ts'

/** A segment is not taken over beyond this size. Large enough that a big store has hundreds, small enough to be copied by the collector in a step. */
export const SEGMENT_BYTES = 64 << 20

/** A segment that this process holds, open for writing at its end. */
export interface HeldSegment {
  readonly number: number
  readonly file: number
  readonly lease: Lease
  /** Where the next append goes. */
  size: number
}

export interface SegmentsOptions {
  readonly layout: Layout
  readonly index: IndexDb
  readonly leases: Leases
  readonly durability: 'fast' | 'full'
}

const openFile = promisify(open)
const closeFile = promisify(close)

/** A segment with room that nobody holds, or a new one, but never `except`. On the way, the segments of writers that died are recovered. */
export async function takeSegment(
  { layout, index, leases, durability }: SegmentsOptions,
  except?: number,
): Promise<HeldSegment> {
  mkdirSync(layout.journal, { recursive: true, mode: 0o700 })
  const numbers = readdirSync(layout.journal).flatMap((name) => segmentOfName(name) ?? [])
  numbers.sort((a, b) => b - a)
  const unfinished = stagingSegments(layout)
  let taken: { number: number; lease: Lease; size: number } | undefined
  for (const number of numbers) {
    const fileBytes = statSync(segmentPath(layout, number), { throwIfNoEntry: false })?.size ?? 0
    const known = indexedBytes(index, number)
    const isWanted = number !== except && taken === undefined && fileBytes >= known && fileBytes < SEGMENT_BYTES
    if (!isWanted && fileBytes <= known && !unfinished.has(number)) continue
    const lease = await leases.tryHold(segmentLease(number))
    if (lease === undefined) continue
    const size = await recoverHeld(index, layout, number, lease)
    if (isWanted && size !== undefined && size < SEGMENT_BYTES) taken = { number, lease, size }
    else await lease[Symbol.asyncDispose]()
  }
  if (taken !== undefined) return { ...taken, file: await openFile(segmentPath(layout, taken.number), 'r+') }
  const made = await newSegment(layout, index, leases, numbers[0] ?? 0)
  if (durability === 'full') for (const folder of [layout.journal, layout.dir, dirname(layout.dir)]) syncFolder(folder)
  return made
}

export async function letGoOf(segment: HeldSegment): Promise<void> {
  await closeFile(segment.file)
  await segment.lease[Symbol.asyncDispose]()
}

/** Undefined: the collector has copied and unlinked it meanwhile. The lease is let go when it fails. */
async function recoverHeld(index: IndexDb, layout: Layout, segment: number, lease: Lease): Promise<number | undefined> {
  try {
    return existsSync(segmentPath(layout, segment)) ? await recoverSegment(index, layout, segment) : undefined
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

/** The collector unlinks segments and leaves the highest one's row, so that no number is used twice. */
function highestIndexed(index: IndexDb): number {
  return Number(index.sql('SELECT max(id) FROM segments').get()?.[0] ?? 0)
}

async function newSegment(layout: Layout, index: IndexDb, leases: Leases, highest: number): Promise<HeldSegment> {
  for (let number = highest + 1; ; number = Math.max(number, highestIndexed(index)) + 1) {
    const lease = await leases.tryHold(segmentLease(number))
    if (lease === undefined) continue
    if (number <= highestIndexed(index)) {
      await lease[Symbol.asyncDispose]()
      continue
    }
    try {
      return { number, lease, size: 0, file: await openFile(segmentPath(layout, number), 'wx', 0o600) }
    } catch (error) {
      await lease[Symbol.asyncDispose]()
      if (systemCode(error) !== 'EEXIST') throw error
    }
  }
}
