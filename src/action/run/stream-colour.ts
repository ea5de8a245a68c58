const ESCAPE = 0x1b
const BRACKET = 0x5b
const NOTHING = new Uint8Array(0)
/** Longer than any colour code; what goes on beyond it is text that merely begins like one. */
const MAX_CODE_BYTES = 64

/** Takes colour codes out of a stream that comes in pieces. */
export interface ColourStripper {
  /** What is certain of the text so far; an unfinished code waits for the next piece. */
  push(chunk: Uint8Array): Uint8Array
  /** What waited, once nothing follows. */
  end(): Uint8Array
}

/**
 * Removes SGR codes (`ESC [ … m`, ECMA-48 8.3.117) and the erase-to-end-of-line (`ESC [ K`) that compilers put right
 * behind one; every other byte passes as it is, other control sequences included.
 */
export function colourStripper(): ColourStripper {
  let waiting: Uint8Array = NOTHING
  let isAfterCode = false
  return {
    push(chunk) {
      if (waiting.length === 0 && !isAfterCode && !chunk.includes(ESCAPE)) return chunk
      const text = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk])
      const kept = Buffer.allocUnsafe(text.length)
      let length = 0
      let at = 0
      waiting = NOTHING
      while (at < text.length) {
        const code = text[at] === ESCAPE ? codeAt(text, at, isAfterCode) : 0
        if (code === undefined) {
          waiting = text.slice(at)
          break
        }
        isAfterCode = code > 0
        if (code > 0) at += code
        else kept[length++] = text[at++] as number
      }
      return kept.subarray(0, length)
    },
    end() {
      const rest = waiting
      waiting = NOTHING
      return rest
    },
  }
}

/** Length of the code that begins at `start`; 0 when it is none, undefined when the text ends within it. */
function codeAt(text: Uint8Array, start: number, isAfterCode: boolean): number | undefined {
  if (start + 1 === text.length) return undefined
  if (text[start + 1] !== BRACKET) return 0
  for (let at = start + 2; at < text.length; at++) {
    const byte = text[at] as number
    const isParameter = byte >= 0x30 && byte <= 0x3b
    if (byte === 0x6d) return at + 1 - start
    if (byte === 0x4b && isAfterCode) return at + 1 - start
    if (!isParameter || at - start > MAX_CODE_BYTES) return 0
  }
  return undefined
}
