import type { TraceBuilder } from '../trace.ts'
import { recordBatches } from './records.ts'

/** libCacheSim's oracleGeneral: records of u32 time, u64 key, u32 size, i64 next access, little-endian. */
export async function readOracleGeneral(bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder): Promise<void> {
  for await (const view of recordBatches(bytes, ORACLE_GENERAL_BYTES))
    for (let at = 0; at < view.byteLength; at += ORACLE_GENERAL_BYTES)
      trace.add(view.getBigUint64(at + 4, true), view.getUint32(at + 12, true))
}

export const ORACLE_GENERAL_BYTES = 24
