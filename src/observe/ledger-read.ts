import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { systemCode } from '../errors.ts'
import { RunRecord } from '../proto/recue/v1/recue.ts'
import { framesIn, MAX_FRAME_BYTES } from './frame.ts'

/** At least two frames, so that a block without one is damage and not a long record. */
const BLOCK_BYTES: number = 2 * MAX_FRAME_BYTES

/** The undamaged records of one file; none where it is gone. Reads block by block, in the direction asked for. */
export function* recordsOf(path: string, newestFirst: boolean): Generator<RunRecord> {
  const file = openIfThere(path)
  if (file === undefined) return
  try {
    yield* newestFirst ? backward(file) : forward(file)
  } finally {
    closeSync(file)
  }
}

function* forward(file: number): Generator<RunRecord> {
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  let at = 0
  for (;;) {
    const bytes = block.subarray(0, readSync(file, block, 0, BLOCK_BYTES, at))
    let done = 0
    for (const { end, payload } of framesIn(bytes)) {
      yield* decoded(payload)
      done = end
    }
    if (bytes.length < BLOCK_BYTES) return
    // A frame that begins in the last stretch may go on beyond this block.
    at += Math.max(done, BLOCK_BYTES - MAX_FRAME_BYTES + 1)
  }
}

function* backward(file: number): Generator<RunRecord> {
  let end = fstatSync(file).size
  while (end > 0) {
    const start = Math.max(0, end - BLOCK_BYTES)
    const bytes = Buffer.allocUnsafe(end - start)
    const frames = [...framesIn(bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start)))]
    for (const { payload } of frames.toReversed()) yield* decoded(payload)
    const first = frames[0]
    if (start === 0) return
    // Older records end where the first of these begins; with none, at the latest where a frame may reach into the block.
    end = first === undefined ? start + MAX_FRAME_BYTES - 1 : start + first.start
  }
}

function* decoded(payload: Uint8Array): Generator<RunRecord> {
  try {
    yield RunRecord.decode(payload)
  } catch {
    // A record of a version that writes another layout; its checksum is right, so nothing is damaged.
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
