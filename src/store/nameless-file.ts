import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const READ_BYTES = 256 << 10

/** A file that nobody else can open and that goes with this process, for bytes that are on their way. */
export async function namelessFile(parent: string = tmpdir()): Promise<FileHandle> {
  const folder = await mkdtemp(join(parent, 'recue-'))
  try {
    return await open(join(folder, 'spool'), 'wx+', 0o600)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What is in a file from `start` to `end`, or to where it ends before. */
export async function* bytesOf(
  file: FileHandle,
  start = 0,
  end: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array, undefined> {
  for (let position = start; position < end; ) {
    const size = Math.min(READ_BYTES, end - position)
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size), 0, size, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
