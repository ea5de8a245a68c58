import { read, readSync } from 'node:fs'
import { systemCode } from '../errors.ts'

/** What comes through a pipe. */
export interface PipeInput {
  /**
   * The next bytes, valid until more are asked for; undefined at the end. With `mayBlock` the whole process may wait for
   * them, which saves the handing over between threads (half of what an answer from the store costs): only for who has nothing else under way.
   */
  read(mayBlock: boolean): Promise<Buffer | undefined>
}

const CHUNK_BYTES = 64 * 1024

export function pipeInput(file: number): PipeInput {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  return {
    async read(mayBlock) {
      const bytes = (mayBlock ? readNow(file, chunk) : undefined) ?? (await readLater(file, chunk))
      return bytes === 0 ? undefined : chunk.subarray(0, bytes)
    },
  }
}

/** Undefined: the pipe was made one that does not block. */
function readNow(file: number, chunk: Buffer): number | undefined {
  try {
    return readSync(file, chunk)
  } catch (error) {
    if (systemCode(error) === 'EOF') return 0
    if (systemCode(error) !== 'EAGAIN' && systemCode(error) !== 'EINTR') throw error
    return undefined
  }
}

function readLater(file: number, chunk: Buffer): Promise<number> {
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
