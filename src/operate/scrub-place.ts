import type { WorkspaceRecords } from '../store/contracts.ts'

/** How far a scrub has come: first through the journal, segment by segment, then through the files of `blobs/`. */
export type ScrubPlace =
  | { readonly kind: 'journal'; readonly segment: number; readonly offset: number }
  /** The file with this hash was the last one done; empty: none was. */
  | { readonly kind: 'files'; readonly afterHash: string }

export const START: ScrubPlace = { kind: 'journal', segment: 0, offset: 0 }

const NAME = 'place'
const BYTES = 56

/** Where the last scrub of this store stopped; the start where it came to its end, or nothing is known of it. */
export function loadPlace(records: WorkspaceRecords): ScrubPlace {
  const record = records.load('scrub', NAME)
  if (record?.length !== BYTES) return START
  const bytes = Buffer.from(record)
  if (bytes[0] === 1) return { kind: 'files', afterHash: bytes[1] === 0 ? '' : bytes.toString('hex', 24, BYTES) }
  return { kind: 'journal', segment: bytes.readDoubleLE(8), offset: bytes.readDoubleLE(16) }
}

export function savePlace(records: WorkspaceRecords, place: ScrubPlace): Promise<void> {
  // files u8 | has a hash u8 | 0 | segment f64 | offset f64 | hash
  const bytes = Buffer.alloc(BYTES)
  if (place.kind === 'journal') {
    bytes.writeDoubleLE(place.segment, 8)
    bytes.writeDoubleLE(place.offset, 16)
  } else {
    bytes[0] = 1
    bytes[1] = place.afterHash === '' ? 0 : 1
    bytes.write(place.afterHash, 24, 'hex')
  }
  return records.save('scrub', NAME, bytes)
}

export function forgetPlace(records: WorkspaceRecords): Promise<void> {
  return records.remove('scrub', NAME)
}
