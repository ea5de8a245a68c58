/** What stands before a field of bytes in an encoded message: its tag (number × 8 + 2, below 128) and how many follow. */
export function fieldHeader(tag: number, length: number): Uint8Array {
  const bytes = [tag]
  let rest = length
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return new Uint8Array(bytes)
}
