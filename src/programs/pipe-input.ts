import { read } from 'node:fs'
import { systemCode } from '../errors.ts'

const CHUNK_BYTES = 64 * 1024

/** What comes through a pipe, to its end; each chunk is valid until the next is asked for. A stream object costs more to load and to run. */
export async function* pipeInput(file: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (;;) {
    const bytes = await readSome(file, chunk)
    if (bytes === 0) return
    yield chunk.subarray(0, bytes)
  }
}

function readSome(file: number, chunk: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const again = () =>
      read(file, chunk, 0, chunk.length, null, (error, bytes) => {
        const code = systemCode(error)
        if (code === 'EAGAIN') setTimeout(again, 1)
        else if (code === 'EOF') resolve(0)
        else if (error) reject(error)
        else resolve(bytes)
      })
    again()
  })
}
