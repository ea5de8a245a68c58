import type { Digest } from '../../digest/digest.ts'
import type { ActionResult, OutputFile } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Shard } from './shards.ts'

/** Larger ones cost more to be kept twice than to be asked for elsewhere. */
const MOST_BLOB_BYTES = 64 << 10
/** Of all, so that an answer has room for them. */
const MOST_BYTES = 1 << 20

/** The small blobs of a result, which are kept beside it too: so a hit asks one end. */
export type Beside = Pick<ActionResult, 'outputFiles' | 'stdoutDigest' | 'stderrDigest'>

/** The same for all results that are the same work: what was printed has what room the outputs leave. */
export function besideOf(result: ActionResult): Beside {
  let leftBytes = MOST_BYTES
  const seen = new Set<string>()
  const isBeside = (digest: Digest | undefined): digest is Digest => {
    if (digest === undefined || digest.sizeBytes === 0 || digest.sizeBytes > MOST_BLOB_BYTES) return false
    if (digest.sizeBytes > leftBytes || seen.has(digest.hash)) return false
    seen.add(digest.hash)
    leftBytes -= digest.sizeBytes
    return true
  }
  const outputs = [
    ...result.outputFiles.filter(({ contents }) => contents.length === 0).map(({ digest }) => digest),
    ...result.outputDirectories.flatMap(({ treeDigest, rootDirectoryDigest }) => [treeDigest, rootDirectoryDigest]),
  ].filter(isBeside)
  const { stdoutDigest, stderrDigest } = result
  return {
    outputFiles: outputs.map(numberedFile),
    stdoutDigest: isBeside(stdoutDigest) ? stdoutDigest : undefined,
    stderrDigest: isBeside(stderrDigest) ? stderrDigest : undefined,
  }
}

export function numberedFile(digest: Digest, number: number): OutputFile {
  return { path: `${number}`, digest, isExecutable: false, contents: Buffer.alloc(0) }
}

export const NOTHING_BESIDE: Beside = { outputFiles: [], stdoutDigest: undefined, stderrDigest: undefined }

export function digestsOf({ outputFiles, stdoutDigest, stderrDigest }: Beside): Digest[] {
  return [...outputFiles.map(({ digest }) => digest), stdoutDigest, stderrDigest].filter(
    (digest) => digest !== undefined,
  )
}

/** About 200 bytes each. */
const MOST_HOMES = 50_000

/** Where blobs were found beside a result, so that they are read there: they came with it, or are at hand where it was. */
export class Homes {
  readonly #homes = new Map<string, Shard>()

  note(shard: Shard, digests: readonly Digest[]): void {
    for (const { hash } of digests) {
      this.#homes.delete(hash)
      this.#homes.set(hash, shard)
    }
    for (const oldest of this.#homes.keys()) {
      if (this.#homes.size <= MOST_HOMES) break
      this.#homes.delete(oldest)
    }
  }

  of({ hash }: Digest): Shard | undefined {
    return this.#homes.get(hash)
  }
}

const MOST_WRITTEN_BYTES = 8 << 20

/** Small blobs that were written last: the result that names them comes next, and they go beside it. */
export class WrittenBlobs {
  readonly #blobs = new Map<string, Uint8Array>()
  #bytes = 0

  add({ hash, sizeBytes }: Digest, bytes: Uint8Array): void {
    if (sizeBytes > MOST_BLOB_BYTES || this.#blobs.has(hash)) return
    // Copied: its owner may use the memory again once it is written.
    this.#blobs.set(hash, new Uint8Array(bytes))
    this.#bytes += sizeBytes
    for (const [oldest, { length }] of this.#blobs) {
      if (this.#bytes <= MOST_WRITTEN_BYTES) break
      this.#blobs.delete(oldest)
      this.#bytes -= length
    }
  }

  get({ hash }: Digest): Uint8Array | undefined {
    return this.#blobs.get(hash)
  }
}

/** What blobs and action results of the same ends know of each other. */
export interface BesideParts {
  readonly homes: Homes
  readonly written: WrittenBlobs
}
