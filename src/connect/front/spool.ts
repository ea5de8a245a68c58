import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ReplyBody } from '../../server/protocol.ts'

/** Above it, bytes lie in a file. */
const MOST_IN_MEMORY_BYTES = 1 << 20
const READ_BYTES = 256 << 10

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
  return file === undefined ? Buffer.concat(chunks) : { bytes: bytesOf(file), sizeBytes }
}

async function namelessFile(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'recue-front-'))
  try {
    return await open(join(folder, 'spool'), 'wx+', 0o600)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function bytesOf(file: FileHandle) {
  return {
    async *[Symbol.asyncIterator]() {
      for (let position = 0; ; ) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, position)
        if (bytesRead === 0) return
        position += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}
