import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { BATCH_BLOB_BYTES, type BlobStore, type Bytes, type Scope } from '../../store/contracts.ts'
import { runDetail } from '../action-result.ts'
import type { OutputSink } from '../run-outcome.ts'
import { type ColourStripper, colourStripper } from './stream-colour.ts'
import type { StreamName } from './stream-order.ts'

/** The recorded output of a command, known to be whole and ready to be written. */
export interface Replay {
  readonly stdoutBytes: number
  readonly stderrBytes: number
  /** Byte for byte, in the order received; done when the sink has taken all of it. */
  writeTo(sink: OutputSink, options?: { stripForcedColours?: boolean; signal?: AbortSignal }): Promise<void>
}

/**
 * Finds and checks the output that a result names, before anything of it is shown: undefined when some of it is gone or
 * damaged. Small output is held in memory; large output is read through once here and once more when it is written.
 */
export async function openReplay(
  result: ActionResult,
  blobs: BlobStore,
  scope: Scope,
  signal?: AbortSignal,
): Promise<Replay | undefined> {
  const stdout = await source(result.stdoutRaw, result.stdoutDigest, blobs, scope, signal)
  const stderr = await source(result.stderrRaw, result.stderrDigest, blobs, scope, signal)
  if (stdout === undefined || stderr === undefined) return undefined
  const detail = runDetail(result)
  return {
    stdoutBytes: stdout.sizeBytes,
    stderrBytes: stderr.sizeBytes,
    async writeTo(sink, options = {}) {
      const isStripped = options.stripForcedColours === true && detail?.colourForced === true
      await using out = lane('stdout', stdout, sink, isStripped)
      await using err = lane('stderr', stderr, sink, isStripped)
      for (const length of detail?.streamChunks ?? []) {
        options.signal?.throwIfAborted()
        await (length > 0 ? out.write(length) : err.write(-length))
      }
      // All of a result that another client made; nothing of our own.
      await out.write(Number.POSITIVE_INFINITY)
      await err.write(Number.POSITIVE_INFINITY)
    },
  }
}

interface Source {
  readonly sizeBytes: number
  open(): Promise<Bytes>
}

async function source(
  raw: Uint8Array,
  digest: Digest | undefined,
  blobs: BlobStore,
  scope: Scope,
  signal: AbortSignal | undefined,
): Promise<Source | undefined> {
  if (raw.byteLength > 0 || digest === undefined || digest.sizeBytes === 0) return inMemory(raw)
  if (digest.sizeBytes <= BATCH_BLOB_BYTES) {
    for await (const { bytes } of blobs.readBatch(scope, [digest], signal)) {
      // Valid only until the next entry is asked for.
      if (bytes !== undefined) return inMemory(Buffer.from(bytes))
    }
    return undefined
  }
  if (!(await readsThrough(digest, blobs, scope, signal))) return undefined
  return {
    sizeBytes: digest.sizeBytes,
    async open() {
      const bytes = await blobs.read(scope, digest)
      if (bytes === undefined) throw new Error(`output ${digest.hash} was evicted while it was replayed`)
      return bytes
    },
  }
}

function inMemory(bytes: Uint8Array): Source {
  return { sizeBytes: bytes.byteLength, open: async () => bytes }
}

async function readsThrough(
  digest: Digest,
  blobs: BlobStore,
  scope: Scope,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const bytes = await blobs.read(scope, digest, signal ? { signal } : {})
  if (bytes === undefined) return false
  try {
    let sizeBytes = 0
    for await (const chunk of bytes) sizeBytes += chunk.byteLength
    return sizeBytes === digest.sizeBytes
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.corrupt') return false
    throw error
  }
}

interface Lane extends AsyncDisposable {
  /** At most so many bytes; as many as are left when there are fewer. */
  write(length: number): Promise<void>
}

/** One stream on its way to the sink, taken in the lengths that the order asks for. */
function lane(name: StreamName, from: Source, sink: OutputSink, isStripped: boolean): Lane {
  const stripper: ColourStripper | undefined = isStripped ? colourStripper() : undefined
  let chunks: AsyncIterator<Uint8Array> | undefined
  let rest: Uint8Array = new Uint8Array(0)
  let isOver = from.sizeBytes === 0
  const put = async (bytes: Uint8Array) => {
    if (bytes.byteLength > 0) await sink[name](bytes)
  }
  const next = async () => {
    chunks ??= iterate(await from.open())
    const { done, value } = await chunks.next()
    if (done !== true) rest = value
    else isOver = true
    if (isOver && stripper !== undefined) await put(stripper.end())
  }
  return {
    async write(length) {
      let left = length
      while (left > 0) {
        if (rest.byteLength === 0) {
          if (isOver) return
          await next()
          continue
        }
        const piece = rest.subarray(0, Math.min(left, rest.byteLength))
        rest = rest.subarray(piece.byteLength)
        left -= piece.byteLength
        await put(stripper?.push(piece) ?? piece)
      }
    },
    async [Symbol.asyncDispose]() {
      await chunks?.return?.()
    },
  }
}

function iterate(bytes: Bytes): AsyncIterator<Uint8Array> {
  return bytes instanceof Uint8Array ? single(bytes) : bytes[Symbol.asyncIterator]()
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
