/** Which bytes of how many; `unsatisfiable` begins beyond the end. */
export type ByteRange = { readonly offset: number; readonly length: number } | 'whole' | 'unsatisfiable'

/**
 * Of a `Range` header (RFC 9110, 14.2). Several ranges, other units and what cannot be read count as none, as the RFC allows.
 */
export function byteRange(header: string | undefined, sizeBytes: number): ByteRange {
  const [, first = '', last = ''] = /^\s*bytes=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(header ?? '') ?? []
  if (first === '' && last === '') return 'whole'
  if (first === '') return suffix(Number(last), sizeBytes)
  const offset = Number(first)
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  if (last !== '' && Number(last) < offset) return 'whole'
  return offset >= sizeBytes ? 'unsatisfiable' : { offset, length: end - offset }
}

function suffix(length: number, sizeBytes: number): ByteRange {
  if (length === 0 || sizeBytes === 0) return 'unsatisfiable'
  return length >= sizeBytes ? { offset: 0, length: sizeBytes } : { offset: sizeBytes - length, length }
}
