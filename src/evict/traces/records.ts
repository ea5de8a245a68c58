import { TraceFault } from './fault.ts'

/** Whole records of a binary trace, some at a time. Throws a {@link TraceFault} when the last one is cut. */
export async function* recordBatches(bytes: AsyncIterable<Uint8Array>, recordBytes: number): AsyncGenerator<DataView> {
  let rest = new Uint8Array(0)
  let records = 0
  for await (const chunk of bytes) {
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const whole = all.length - (all.length % recordBytes)
    yield new DataView(all.buffer, all.byteOffset, whole)
    records += whole / recordBytes
    rest = new Uint8Array(all.subarray(whole))
  }
  if (rest.length > 0)
    throw new TraceFault(`record ${records + 1}`, `it ends after ${rest.length} of ${recordBytes} bytes`)
}
