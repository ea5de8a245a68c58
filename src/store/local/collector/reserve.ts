import { randomBytes } from 'node:crypto'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { systemCode } from '../../../errors.ts'
import type { Layout } from '../layout.ts'
import { freeBytesAt } from './quota.ts'

/** Removing ten results touches some twenty pages of the index, of 8 KiB each, and all of them are written to its log first. */
export const RESERVE_BYTES = 512 << 10
/** While so much is free, nobody needs a reserve. */
const PLENTY_BYTES = 2 ** 30

/**
 * On a disk that is nearly full, keeps a file that is given up when it is full: to remove something takes a little room
 * first, to say so in the index. Made while there is room, so after saves.
 */
export function keepReserve(layout: Layout): void {
  const path = reservePath(layout)
  const freeBytes = freeBytesAt(layout.dir)
  if (freeBytes > PLENTY_BYTES || freeBytes < 2 * RESERVE_BYTES) return
  if (statSync(path, { throwIfNoEntry: false })?.size === RESERVE_BYTES) return
  try {
    // Random, or a file system that compresses would reserve nothing.
    writeFileSync(path, randomBytes(RESERVE_BYTES), { mode: 0o600 })
  } catch (error) {
    rmSync(path, { force: true })
    if (systemCode(error) === undefined) throw error
  }
}

/** False when there was none. */
export function giveUpReserve(layout: Layout): boolean {
  const isThere = statSync(reservePath(layout), { throwIfNoEntry: false }) !== undefined
  rmSync(reservePath(layout), { force: true })
  return isThere
}

function reservePath(layout: Layout): string {
  return `${layout.dir}/reserve`
}
