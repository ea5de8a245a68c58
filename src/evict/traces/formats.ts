import type { TraceBuilder } from '../trace.ts'
import { readArc } from './arc.ts'
import { readInt32, readInt64 } from './big-endian.ts'
import { readCsv } from './csv.ts'
import { readLirs } from './lirs.ts'
import { ORACLE_GENERAL_BYTES, readOracleGeneral } from './oracle-general.ts'
import { readWebcachesim } from './webcachesim.ts'

/** Adds the requests that the bytes say; throws a TraceFault where they say none. */
export type ReadTrace = (bytes: AsyncIterable<Uint8Array>, trace: TraceBuilder) => Promise<void>

/** Every format, by the name it has in options. */
export const FORMATS = {
  lirs: readLirs,
  arc: readArc,
  csv: readCsv,
  webcachesim: readWebcachesim,
  oracleGeneral: readOracleGeneral,
  int32: readInt32,
  int64: readInt64,
} as const satisfies Readonly<Record<string, ReadTrace>>

export type FormatName = keyof typeof FORMATS

/** The format of an uncompressed trace by its name and first bytes, which may be few; undefined when they could be several. */
export function guessFormat(name: string, start: Uint8Array): FormatName | undefined {
  if (/\.lis$/i.test(name)) return 'arc'
  if (/\.csv$/i.test(name)) return 'csv'
  if (/oraclegeneral/i.test(name)) return 'oracleGeneral'
  return isText(start) ? textFormat(start) : looksOracleGeneral(start) ? 'oracleGeneral' : undefined
}

function isText(start: Uint8Array): boolean {
  return start.every((byte) => (byte >= 32 && byte < 127) || byte === 9 || byte === 10 || byte === 13)
}

function textFormat(start: Uint8Array): FormatName | undefined {
  const [line = ''] = new TextDecoder()
    .decode(start)
    .split('\n')
    .filter((text) => !/^[\s*]*$/.test(text))
  if (line.includes(',')) return 'csv'
  const fields = line.trim().split(/\s+/)
  if (!fields.every((field) => /^-?\d+(\.\d+)?$/.test(field))) return undefined
  return ({ 1: 'lirs', 3: 'webcachesim', 4: 'arc' } as const)[fields.length]
}

const MOST_REQUESTS = 1n << 48n

/** Times do not fall, and the next access comes later or never. */
function looksOracleGeneral(start: Uint8Array): boolean {
  const view = new DataView(start.buffer, start.byteOffset, start.length - (start.length % ORACLE_GENERAL_BYTES))
  if (view.byteLength < 2 * ORACLE_GENERAL_BYTES) return false
  let time = 0
  for (let at = 0, record = 1; at < view.byteLength; at += ORACLE_GENERAL_BYTES, record++) {
    const next = view.getBigInt64(at + 16, true)
    if (view.getUint32(at, true) < time || (next !== -1n && (next <= record || next > MOST_REQUESTS))) return false
    time = view.getUint32(at, true)
  }
  return true
}
