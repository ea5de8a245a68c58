import type { TraceBuilder } from '../trace.ts'
import { TraceFault } from './fault.ts'
import { lineBatches } from './lines.ts'

const KEYS = ['key', 'id', 'obj_id', 'lbn']
const SIZES = ['size', 'size_bytes', 'obj_size']
const COSTS = ['cost_ms', 'duration_ms']

/**
 * Columns with a heading: the key in `key`, `id`, `obj_id` or `lbn`; where there is one, the size in bytes in `size`,
 * `size_bytes` or `obj_size`, and the cost in milliseconds in `cost_ms` or `duration_ms`. So are libCacheSim's samples.
 */
export async function readCsv(bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder): Promise<void> {
  let line = 0
  let columns: ReturnType<typeof columnsOf> | undefined
  for await (const lines of lineBatches(bytes))
    for (const text of lines) {
      line++
      if (text.trim() === '') continue
      const fields = text.split(',').map((field) => field.trim())
      if (columns === undefined) columns = columnsOf(fields, line)
      else {
        const key = fields[columns.key]
        if (key === undefined || key === '') throw new TraceFault(`line ${line}`, 'it has no key')
        trace.add(key, amount(fields, columns.size, line), amount(fields, columns.cost, line))
      }
    }
}

function columnsOf(headings: readonly string[], line: number) {
  const find = (names: readonly string[]) => headings.findIndex((heading) => names.includes(heading.toLowerCase()))
  const columns = { key: find(KEYS), size: find(SIZES), cost: find(COSTS) }
  if (columns.key === -1) throw new TraceFault(`line ${line}`, `none of its columns is called ${KEYS.join(', ')}`)
  return columns
}

function amount(fields: readonly string[], column: number, line: number): number | undefined {
  if (column === -1) return undefined
  const value = Number(fields[column] || Number.NaN)
  if (!(value >= 0)) throw new TraceFault(`line ${line}`, `"${fields[column] ?? ''}" is no size or cost`)
  return value
}
