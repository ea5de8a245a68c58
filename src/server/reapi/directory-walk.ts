import type { Digest } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { BlobStore, Scope } from '../../store/contracts.ts'
import { directoryDigests } from '../../store/tree-digests.ts'
import { digestArgument } from './digest-argument.ts'

export interface FoundDirectory {
  readonly digest: Digest
  /** As it is stored. */
  readonly bytes: Uint8Array
}

/** What lies where a directory should. */
type Found = { readonly digest: Digest } & (
  | { readonly kind: 'directory'; readonly bytes: Uint8Array; readonly children: readonly Digest[] }
  | { readonly kind: 'absent' | 'other' }
)

/** Read together. */
const BATCH = 256
const BATCH_BYTES = 2 << 20
/** A larger one fits into no message. */
const MOST_DIRECTORY_BYTES = 4_000_000
/** Some 100 MB of digests. */
const MOST_DIRECTORIES = 500_000

/**
 * The directories below a root, the root first, each once, level by level. What is not there, or is no directory, is left out
 * with what is below it. Throws NOT_FOUND when the root is not there, INVALID_ARGUMENT when it is no directory, and
 * RESOURCE_EXHAUSTED for a tree of more than 500,000.
 */
export async function* directoriesBelow(
  blobs: BlobStore,
  scope: Scope,
  root: Digest,
  signal: AbortSignal,
): AsyncGenerator<FoundDirectory> {
  const seen = new Set([root.hash])
  for (let level = [root]; level.length > 0; ) {
    const below: Digest[] = []
    for (const batch of batchesOf(level)) {
      for (const found of await readAll(blobs, scope, batch, signal)) {
        if (found.kind !== 'directory') {
          if (found.digest === root) throw rootStatus(found.kind)
          continue
        }
        yield found
        for (const child of found.children) {
          if (seen.has(child.hash)) continue
          seen.add(child.hash)
          below.push(child)
        }
        if (seen.size > MOST_DIRECTORIES)
          throw new GrpcStatus(GrpcCode.RESOURCE_EXHAUSTED, `The tree has more than ${MOST_DIRECTORIES} directories.`)
      }
    }
    level = below
  }
}

function rootStatus(kind: 'absent' | 'other'): GrpcStatus {
  return kind === 'absent'
    ? new GrpcStatus(GrpcCode.NOT_FOUND, 'The root of the tree is not here.')
    : new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'The root of the tree is no Directory.')
}

function* batchesOf(digests: readonly Digest[]): Generator<Digest[]> {
  let batch: Digest[] = []
  let bytes = 0
  for (const digest of digests) {
    if (batch.length === BATCH || (batch.length > 0 && bytes + digest.sizeBytes > BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(digest)
    bytes += digest.sizeBytes
  }
  yield batch
}

/** In the order of the digests. */
async function readAll(
  blobs: BlobStore,
  scope: Scope,
  digests: readonly Digest[],
  signal: AbortSignal,
): Promise<readonly Found[]> {
  const found = digests.map((digest): Found => ({ kind: 'other', digest }))
  const wanted = [...digests.keys()].filter((i) => isReadable(digests[i] as Digest))
  const asked = wanted.map((i) => digests[i] as Digest)
  for await (const { index, bytes } of blobs.readBatch(scope, asked, signal))
    found[wanted[index] as number] = directoryIn(asked[index] as Digest, bytes)
  return found
}

/** The digests in a directory are whatever its maker wrote. */
function isReadable(digest: Digest): boolean {
  try {
    return digestArgument(digest, '').sizeBytes <= MOST_DIRECTORY_BYTES
  } catch {
    return false
  }
}

function directoryIn(digest: Digest, bytes: Uint8Array | undefined): Found {
  if (bytes === undefined) return { kind: 'absent', digest }
  const named = directoryDigests(bytes)
  if (named === undefined) return { kind: 'other', digest }
  // A copy: it is valid until the next one is read.
  return { kind: 'directory', digest, bytes: new Uint8Array(bytes), children: named.directories }
}
