import type { TraceBuilder } from '../trace.ts'
import { TraceFault } from './fault.ts'
import { lineBatches } from './lines.ts'

/** `time id size` a line, as webcachesim and AdaptSize have it: an id with another size is another object. */
export async function readWebcachesim(bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder): Promise<void> {
  let line = 0
  for await (const lines of lineBatches(bytes))
    for (const text of lines) {
      line++
      if (text.trim() === '') continue
      const [, id, size, ...more] = text.trim().split(/\s+/)
      const sizeBytes = Number(size)
      if (id === undefined || !(sizeBytes >= 0) || more.length > 0)
        throw new TraceFault(`line ${line}`, `"${text.slice(0, 40)}" is not "time id size"`)
      trace.add(`${id} ${size}`, sizeBytes)
    }
}
