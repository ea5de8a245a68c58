import type { TraceBuilder } from '../trace.ts'
import { TraceFault } from './fault.ts'
import { lineBatches } from './lines.ts'

/** No disk request is longer; a larger count is a trace of something else, and would fill the memory. */
const MOST_BLOCKS = 1 << 24

/** Traces of the ARC paper: `first_block count ignored request_number` a line, each for `count` blocks one after the other. */
export async function readArc(bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder): Promise<void> {
  let line = 0
  for await (const lines of lineBatches(bytes))
    for (const text of lines) {
      line++
      if (text.trim() === '') continue
      const fields = text.trim().split(/\s+/).map(Number)
      const [first = Number.NaN, count = Number.NaN] = fields
      if (fields.length !== 4 || !Number.isSafeInteger(first) || !(count >= 0 && count <= MOST_BLOCKS))
        throw new TraceFault(`line ${line}`, `"${text.slice(0, 40)}" is not "first_block count ignored number"`)
      for (let block = first; block < first + count; block++) trace.add(block)
    }
}
