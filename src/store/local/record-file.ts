import { closeSync, openSync, readSync } from 'node:fs'
import { systemCode } from '../../errors.ts'
import { decodeRecord, type RecordPlace, type SegmentRecord } from './segment.ts'

/** One record of a segment file, checked whole; undefined when it, or the file, is damaged or gone. */
export function readRecord(path: string, place: RecordPlace): SegmentRecord | undefined {
  const file = openSegment(path)
  if (file === undefined) return undefined
  try {
    const bytes = readExactly(file, place.offset, place.recordBytes)
    return bytes && decodeRecord(bytes)
  } finally {
    closeSync(file)
  }
}

/** A file descriptor, or undefined when there is no such file (any more). */
export function openSegment(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** All of these bytes, or undefined when the file ends before. */
export function readExactly(file: number, offset: number, length: number): Buffer | undefined {
  const bytes = Buffer.allocUnsafeSlow(length)
  let read = 0
  while (read < length) {
    const more = readSync(file, bytes, read, length - read, offset + read)
    if (more === 0) return undefined
    read += more
  }
  return bytes
}
