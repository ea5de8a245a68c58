import type { TraceBuilder } from '../trace.ts'
import { TraceFault } from './fault.ts'
import { lineBatches } from './lines.ts'

/** Traces of the LIRS paper: a decimal key a line; empty lines and lines of `*` separate runs and count for nothing. */
export async function readLirs(bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder): Promise<void> {
  let line = 0
  for await (const lines of lineBatches(bytes))
    for (const text of lines) {
      line++
      const key = text.trim()
      if (key === '' || key === '*') continue
      if (!/^\d+$/.test(key)) throw new TraceFault(`line ${line}`, `"${key.slice(0, 40)}" is no number`)
      trace.add(Number(key))
    }
}
