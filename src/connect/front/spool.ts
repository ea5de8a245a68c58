import type { FileHandle } from 'node:fs/promises'
import type { ReplyBody } from '../../server/protocol.ts'
import type { OpenBytes } from '../../store/contracts.ts'
import { bytesOf, namelessFile } from '../../store/nameless-file.ts'

/** Above it, bytes lie in a file. */
const MOST_IN_MEMORY_BYTES = 1 << 20

/**
 * Takes bytes in whole before anybody is told of them: in memory where they are few, else in a file that has no name and goes
 * with this process. What comes back is to be read once, or disposed of. Throws what the source throws, and the disk's errors.
 */
export async function spooled(source: AsyncIterable<Uint8Array>): Promise<ReplyBody> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  let file: FileHandle | undefined
  try {
    for await (const chunk of source) {
      sizeBytes += chunk.length
      chunks.push(chunk)
      if (sizeBytes <= MOST_IN_MEMORY_BYTES) continue
      file ??= await namelessFile()
      await file.appendFile(Buffer.concat(chunks))
      chunks.length = 0
    }
  } catch (error) {
    await file?.close()
    throw error
  }
  return file === undefined ? Buffer.concat(chunks) : { bytes: opened(file), sizeBytes }
}

function opened(file: FileHandle): OpenBytes {
  return { [Symbol.asyncIterator]: () => bytesOf(file), [Symbol.asyncDispose]: () => file.close() }
}
