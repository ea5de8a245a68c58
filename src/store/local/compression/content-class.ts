/** What a look at a few bytes tells: `dense` is compressed already, encrypted or random. */
export type ContentClass = 'text' | 'binary' | 'dense'

const WINDOWS = 8
/** A window of 32 bytes, 256 in all, is enough to tell; what is large has more to lose by an error. */
const WINDOW_BYTES = 32
const LARGE_BYTES = 64 << 10
const LARGE_WINDOW_BYTES = 128
/** Of fewer bytes even random ones do not show all values alike, and there is nothing to gain. */
const LEAST_BYTES = 1024
/**
 * Times the sum of squared counts that random bytes would have. Deflate and zstd output stay below 1.2, base64 is above
 * 2.5, machine code above 4, text above 8.
 */
const DENSE = 1.4

const counts = new Uint16Array(256)

/**
 * By how evenly the byte values are spread in 256 of them or 1 KiB, taken from eight places: 0.5 to 2 us, where level 1 takes
 * 80 for 32 KiB. Magic numbers would say less: an uncompressed PNG and a tar of compressed files have them too.
 */
export function classOf(bytes: Uint8Array): ContentClass {
  counts.fill(0)
  const window = bytes.length < LARGE_BYTES ? WINDOW_BYTES : LARGE_WINDOW_BYTES
  const step = bytes.length / WINDOWS
  let sampled = 0
  let squares = 0
  for (let i = 0; i < WINDOWS; i++) {
    const start = Math.floor(i * step)
    const end = Math.min(start + window, bytes.length)
    for (let at = start; at < end; at++) {
      const value = bytes[at] as number
      const count = counts[value] as number
      squares += 2 * count + 1
      counts[value] = count + 1
    }
    sampled += end - start
  }
  if (bytes.length >= LEAST_BYTES && squares < DENSE * squaresOfRandom(sampled)) return 'dense'
  return isText(sampled) ? 'text' : 'binary'
}

function squaresOfRandom(sampled: number): number {
  return sampled + (sampled * (sampled - 1)) / 256
}

/** No control characters but line ends, tabs and colours, as `file` has it; bytes above 127 may be UTF-8. */
function isText(sampled: number): boolean {
  let controls = counts[127] as number
  for (let value = 0; value < 32; value++)
    if (value !== 9 && value !== 10 && value !== 12 && value !== 13 && value !== 27) controls += counts[value] as number
  return controls * 200 <= sampled
}
