import { type Digest, sameDigest } from '../../digest/digest.ts'
import { digestOf, streamDigest } from '../../digest/sha256.ts'
import { BATCH_BLOB_BYTES, type Bytes } from '../contracts.ts'
import { head } from '../head.ts'
import { bytesOf } from '../nameless-file.ts'
import { notTheBlob } from './checked-pieces.ts'
import { spooled } from './verified.ts'

/** How an end sends a blob: small ones whole, whose digest is known to be theirs; large ones as a stream, to be checked on the way. */
export interface Send {
  small(digest: Digest, bytes: Uint8Array): Promise<void>
  large(digest: Digest, bytes: AsyncIterable<Uint8Array>): Promise<void>
}

/** Keeps a blob. Throws `store.corrupt` where a stream is not what the digest says. */
export async function keepBlob(send: Send, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
  if (bytes instanceof Uint8Array) return sendWhole(send, digest, bytes)
  const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, { signal })
  if (whole === undefined) return send.large(digest, rest)
  const found = digestOf(whole)
  if (!sameDigest(found, digest)) throw notTheBlob(digest.hash, `those of ${found.hash}`)
  return sendWhole(send, digest, whole)
}

/** Keeps bytes that nobody has named yet: large ones lie in a file until they are, since no server takes what has no name. */
export async function ingestBlob(
  send: Send,
  bytes: AsyncIterable<Uint8Array>,
  tmpDir: string | undefined,
  signal?: AbortSignal,
): Promise<Digest> {
  const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, { signal })
  if (whole !== undefined) {
    const digest = digestOf(whole)
    await sendWhole(send, digest, whole)
    return digest
  }
  const named = streamDigest()
  await using file = await spooled(seen(rest, named.update, signal), tmpDir)
  const digest = named.digest()
  await send.large(digest, bytesOf(file))
  return digest
}

/** Every store has the empty blob. */
function sendWhole(send: Send, digest: Digest, bytes: Uint8Array): Promise<void> {
  if (digest.sizeBytes === 0) return Promise.resolve()
  return digest.sizeBytes > BATCH_BLOB_BYTES ? send.large(digest, once(bytes)) : send.small(digest, bytes)
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function* seen(
  source: AsyncIterable<Uint8Array>,
  see: (piece: Uint8Array) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    signal?.throwIfAborted()
    see(piece)
    yield piece
  }
}
