import { readSync } from 'node:fs'
import { systemCode } from '../errors.ts'

const CHUNK_BYTES = 1 << 16

/** All of standard input. It becomes part of the key, so it is held in memory whole. */
export async function readAll(): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const length = await readSome(chunk)
    if (length === 0) return Buffer.concat(chunks)
    chunks.push(chunk.subarray(0, length))
  }
}

async function readSome(chunk: Buffer): Promise<number> {
  for (;;) {
    try {
      return readSync(0, chunk)
    } catch (error) {
      if (systemCode(error) === 'EOF') return 0
      if (systemCode(error) !== 'EAGAIN') throw error
      await new Promise((wake) => setTimeout(wake, 5))
    }
  }
}
