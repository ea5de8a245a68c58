import type { Digest } from '../../digest/digest.ts'
import { fieldHeader } from '../../grpc/field-header.ts'
import type { GetActionResultRequest } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { BATCH_BLOB_BYTES, type BlobStore } from '../../store/contracts.ts'
import { ALL_OUTPUT_FILES } from '../../store/remote/all-output-files.ts'
import { EncodedMessage } from '../grpc/service.ts'

/** What gRPC's clients take in one message unless they are told otherwise, and room for the fields' own bytes. */
const MOST_ANSWER_BYTES = (4 << 20) - (64 << 10)

/** `stdout_raw` and `stderr_raw`: field 5 and 7, of bytes. */
const STDOUT_TAG = 0x2a
const STDERR_TAG = 0x3a

/** What a client wants to have within the result. */
export type Wanted = Pick<GetActionResultRequest, 'inlineStdout' | 'inlineStderr' | 'inlineOutputFiles'>

/** A blob to be put into the answer, and where. */
interface Part {
  readonly digest: Digest
  readonly place: 'stdout' | 'stderr' | { readonly file: number }
}

/** Reads blobs, in the order of their digests; undefined for each that is not there whole. */
type ReadBlobs = (digests: readonly Digest[]) => ReturnType<BlobStore['readBatch']>

export function wantsNothing({ inlineStdout, inlineStderr, inlineOutputFiles }: Wanted): boolean {
  return !inlineStdout && !inlineStderr && inlineOutputFiles.length === 0
}

/**
 * The result with what the client wants in it, as far as it fits into a message; digests stay. Undefined when a blob cannot be
 * read: the result is not complete then.
 */
export async function withInlined(
  kept: { readonly result: ActionResult; readonly encoded: Uint8Array },
  wanted: Wanted,
  read: ReadBlobs,
): Promise<EncodedMessage | undefined> {
  const parts = fitting(partsOf(kept.result, wanted), MOST_ANSWER_BYTES - kept.encoded.length)
  if (parts.length === 0) return new EncodedMessage(kept.encoded)
  const contents = await contentsOf(parts, read)
  return contents && answered(kept, parts, contents)
}

function partsOf(result: ActionResult, wanted: Wanted): Part[] {
  const parts: Part[] = []
  if (wanted.inlineStdout && result.stdoutDigest !== undefined && result.stdoutRaw.length === 0)
    parts.push({ digest: result.stdoutDigest, place: 'stdout' })
  if (wanted.inlineStderr && result.stderrDigest !== undefined && result.stderrRaw.length === 0)
    parts.push({ digest: result.stderrDigest, place: 'stderr' })
  const paths = new Set(wanted.inlineOutputFiles)
  const areAll = paths.has(ALL_OUTPUT_FILES)
  if (paths.size > 0)
    result.outputFiles.forEach(({ path, digest, contents }, file) => {
      if (digest !== undefined && contents.length === 0 && (areAll || paths.has(path)))
        parts.push({ digest, place: { file } })
    })
  return parts.filter(({ digest }) => digest.sizeBytes > 0)
}

function fitting(parts: readonly Part[], roomBytes: number): Part[] {
  let leftBytes = roomBytes
  return parts.filter(({ digest: { sizeBytes } }) => {
    if (sizeBytes > BATCH_BLOB_BYTES || sizeBytes > leftBytes) return false
    leftBytes -= sizeBytes
    return true
  })
}

async function contentsOf(parts: readonly Part[], read: ReadBlobs): Promise<Buffer[] | undefined> {
  const contents: Buffer[] = []
  for await (const { index, bytes } of read(parts.map(({ digest }) => digest))) {
    if (bytes === undefined) return undefined
    contents[index] = Buffer.from(bytes)
  }
  return contents
}

/** Fields of a message may come in any order, so what a command printed is put behind the result as it is kept. */
function answered(
  { result, encoded }: { readonly result: ActionResult; readonly encoded: Uint8Array },
  parts: readonly Part[],
  contents: readonly Buffer[],
): EncodedMessage {
  const files = new Map<number, Buffer>()
  const printed: Uint8Array[] = []
  parts.forEach(({ place }, i) => {
    const bytes = contents[i] as Buffer
    if (typeof place === 'object') files.set(place.file, bytes)
    else printed.push(fieldHeader(place === 'stdout' ? STDOUT_TAG : STDERR_TAG, bytes.length), bytes)
  })
  return new EncodedMessage(files.size === 0 ? encoded : withContents(result, files), ...printed)
}

function withContents(result: ActionResult, contents: ReadonlyMap<number, Buffer>): Uint8Array {
  const outputFiles = result.outputFiles.map((file, i) => {
    const bytes = contents.get(i)
    return bytes === undefined ? file : { ...file, contents: bytes }
  })
  return ActionResult.encode({ ...result, outputFiles }).finish()
}
