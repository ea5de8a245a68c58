import type { TraceBuilder } from '../trace.ts'
import { recordBatches } from './records.ts'

/** Keys of 4 bytes each, as cache2k's traces. */
export async function readInt32(bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder): Promise<void> {
  for await (const view of recordBatches(bytes, 4))
    for (let at = 0; at < view.byteLength; at += 4) trace.add(view.getInt32(at))
}

/** Keys of 8 bytes each, as Corda's traces. */
export async function readInt64(bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder): Promise<void> {
  for await (const view of recordBatches(bytes, 8))
    for (let at = 0; at < view.byteLength; at += 8) trace.add(view.getBigInt64(at))
}
