/** What a look at a few bytes tells: `dense` is compressed already, encrypted or random. */
export type ContentClass = 'text' | 'binary' | 'dense'

const SAMPLE_BYTES = 1024
const WINDOWS = 8
/** Of fewer bytes even random ones do not show all values alike, and there is nothing to gain. */
const LEAST_BYTES = 1024
/**
 * Times the sum of squared counts that random bytes would have. Deflate and zstd output stay below 1.15, base64 is at 4,
 * machine code above 5, text above 10.
 */
const DENSE = 1.35

const counts = new Uint16Array(256)

/**
 * By how evenly the byte values are spread in 1 KiB of it, taken from eight places: 2 us, where level 1 takes 80 for 32
 * KiB. Magic numbers would say less: an uncompressed PNG and a tar of compressed files have them too.
 */
export function classOf(bytes: Uint8Array): ContentClass {
  counts.fill(0)
  const window = Math.min(bytes.length, SAMPLE_BYTES) / WINDOWS
  const step = bytes.length / WINDOWS
  let sampled = 0
  for (let i = 0; i < WINDOWS; i++) {
    const start = Math.floor(i * step)
    const end = Math.min(bytes.length, Math.ceil(start + window))
    for (let at = start; at < end; at++) (counts[bytes[at] as number] as number)++
    sampled += end - start
  }
  if (bytes.length >= LEAST_BYTES && squares() < DENSE * squaresOfRandom(sampled)) return 'dense'
  return isText(sampled) ? 'text' : 'binary'
}

function squares(): number {
  let sum = 0
  for (const count of counts) sum += count * count
  return sum
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
