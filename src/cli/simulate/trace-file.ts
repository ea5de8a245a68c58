import { createReadStream } from 'node:fs'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { CacheError, isCacheError, systemCode } from '../../errors.ts'
import { type Trace, TraceBuilder } from '../../evict/trace.ts'
import { TraceFault } from '../../evict/traces/fault.ts'
import { FORMATS, type FormatName, guessFormat } from '../../evict/traces/formats.ts'

/** Enough to see the shape of lines and records. */
const START_BYTES = 4096
const COMPRESSED = /\.(gz|zst)$/i

/** Reads a trace, compressed with gzip or zstd or not at all. Throws `usage` and says where it cannot be understood. */
export async function readTraceFile(file: string, given: FormatName | undefined, signal: AbortSignal): Promise<Trace> {
  try {
    const { start, bytes } = await peek(unpacked(await peek(createReadStream(file, { signal }))))
    const format = given ?? guessFormat(file.replace(COMPRESSED, ''), start)
    if (format === undefined) throw unknownFormat(file)
    const builder = new TraceBuilder()
    await FORMATS[format](bytes, builder)
    const trace = builder.trace()
    if (trace.requests === 0) throw new CacheError('usage', `There are no requests in ${file}.`)
    return trace
  } catch (error) {
    signal.throwIfAborted()
    throw explained(file, error)
  }
}

interface Peeked {
  readonly start: Uint8Array
  /** All of them, the start included. */
  readonly bytes: AsyncIterable<Uint8Array>
}

async function peek(bytes: AsyncIterable<Uint8Array>): Promise<Peeked> {
  const iterator = bytes[Symbol.asyncIterator]()
  let start = Buffer.alloc(0)
  while (start.length < START_BYTES) {
    const next = await iterator.next()
    if (next.done === true) break
    start = Buffer.concat([start, next.value])
  }
  async function* all() {
    yield start
    yield* { [Symbol.asyncIterator]: () => iterator }
  }
  return { start: start.subarray(0, START_BYTES), bytes: all() }
}

function unpacked({ start, bytes }: Peeked): AsyncIterable<Uint8Array> {
  const magic = Buffer.from(start.subarray(0, 4)).toString('hex')
  if (magic.startsWith('1f8b')) return through(bytes, createGunzip())
  if (magic === '28b52ffd') return through(bytes, createZstdDecompress())
  return bytes
}

async function* through(
  bytes: AsyncIterable<Uint8Array>,
  stage: NodeJS.ReadWriteStream & AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { pipeline } = await import('node:stream/promises')
  const done = pipeline(bytes, stage)
  // It is waited for below; the reader hears of it first.
  done.catch(() => undefined)
  yield* stage
  await done
}

function unknownFormat(file: string): CacheError {
  return new CacheError('usage', `The format of ${file} cannot be told from its name and its first bytes.`, {
    hint: `Say --format ${Object.keys(FORMATS).join(', ')}.`,
  })
}

function explained(file: string, error: unknown): unknown {
  if (error instanceof TraceFault)
    return new CacheError('usage', `${file}, ${error.place}: ${error.message}.`, {
      hint: `If it is another format, say --format ${Object.keys(FORMATS).join(', ')}.`,
      cause: error,
    })
  const code = systemCode(error)
  if (isCacheError(error) || code === undefined || !(error instanceof Error)) return error
  if (code === 'ENOENT') return new CacheError('usage', `There is no trace ${file}.`, { cause: error })
  const why = code.startsWith('Z') ? 'it is cut off, or not compressed as its name says' : code
  return new CacheError('usage', `${file} cannot be read (${why}).`, { cause: error })
}
