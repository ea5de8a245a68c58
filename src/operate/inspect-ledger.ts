import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { framesIn, MAX_PAYLOAD_BYTES } from '../observe/frame.ts'
import type { Fault } from './fault.ts'

/** Files of the ledger: of runs one by one, and their sums. */
const LEDGER_FILE = /^(runs|totals)-\d{8}(\.log)?$/

/** The files of the run ledger in which there are bytes that are no record. Each is a few MiB, and read whole. */
export function inspectLedger(dir: string): Fault[] {
  const folder = join(dir, 'ledger')
  return namesIn(folder).flatMap((name): Fault[] => {
    if (!LEDGER_FILE.test(name)) return []
    const file = join(folder, name)
    const bytes = readFileSync(file)
    const bad = bytes.length - goodBytes(bytes, name)
    return bad === 0 ? [] : [{ kind: 'ledger', file, bytes: bad }]
  })
}

/** The records of such a file, end to end. */
export function goodFrames(bytes: Buffer, name: string): Buffer {
  const frames = [...framesIn(bytes, longest(name))]
  return Buffer.concat(frames.map(({ start, end }) => bytes.subarray(start, end)))
}

function goodBytes(bytes: Buffer, name: string): number {
  let sum = 0
  for (const { start, end } of framesIn(bytes, longest(name))) sum += end - start
  return sum
}

function longest(name: string): number {
  return name.startsWith('totals') ? Number.MAX_SAFE_INTEGER : MAX_PAYLOAD_BYTES
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}
