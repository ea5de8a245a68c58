/** Bytes that compress in part, different for every seed. */
export function content(size: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  let state = seed * 2_654_435_761 + 1
  for (let i = 0; i < size; i++) {
    if (i % 3 === 0) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[i] = i % 3 === 0 ? state >>> 24 : 97 + (i % 7)
  }
  return bytes
}
