import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { action, result } from '../action-store.contract.ts'
import { type ActionStore, type BlobStore, type Ingest, DEFAULT_SCOPE as scope } from '../contracts.ts'
import { memoryActions } from '../memory/memory-actions.ts'
import { type MemoryStore, memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'

interface Store {
  readonly blobs: BlobStore
  readonly actions: ActionStore
}

export async function keepBlob({ blobs }: Pick<Store, 'blobs'>, bytes: Uint8Array): Promise<Digest> {
  const digest = digestOf(bytes)
  await blobs.write(scope, digest, bytes)
  return digest
}

/** Keeps the files, and a result that names them under `name`, as a build does. */
export async function keepResult(store: Store, name: string, files: readonly Uint8Array[]): Promise<Digest[]> {
  const digests = await Promise.all(files.map((bytes) => keepBlob(store, bytes)))
  await store.actions.put(scope, action(name), result(digests))
  return digests
}

/** Whether the store gives exactly these bytes; undefined when it says that it has not got them. */
export async function gives({ blobs }: Pick<Store, 'blobs'>, bytes: Uint8Array): Promise<boolean | undefined> {
  const found = await readWhole(blobs, scope, digestOf(bytes))
  return found && Buffer.from(found).equals(bytes)
}

/** `hit` where the result is kept under `name`, and all its files are what they should be. */
export async function standsIn(store: Store, name: string, files: readonly Uint8Array[]): Promise<string> {
  const found = await store.actions.get(scope, action(name))
  if (found.kind === 'miss') return found.why
  for (const bytes of files) if ((await gives(store, bytes)) !== true) return `without ${digestOf(bytes).hash}`
  return 'hit'
}

/** A store in memory that loses blobs as a test says, as if they had been evicted; and takes none in, if it says so. */
export function forgetfulStore(): MemoryStore & { readonly lost: Set<string>; isFull: boolean } {
  const store = memoryStore()
  const { blobs } = store
  const lost = new Set<string>()
  const isLost = ({ hash }: Digest) => lost.has(hash)
  const refuseFull = () => {
    if (forgetful.isFull) throw new CacheError('store.full', 'as the test says')
  }
  const own: BlobStore & Ingest = {
    async missing(...[to, digests]) {
      const missing = new Set(await blobs.missing(to, digests))
      return digests.filter((digest) => missing.has(digest) || isLost(digest))
    },
    async read(to, digest, options) {
      return isLost(digest) ? undefined : blobs.read(to, digest, options)
    },
    async *readBatch(to, digests, signal) {
      for await (const { index, bytes } of blobs.readBatch(to, digests, signal))
        yield { index, bytes: isLost(digests[index] as Digest) ? undefined : bytes }
    },
    async write(to, digest, bytes, signal) {
      refuseFull()
      await blobs.write(to, digest, bytes, signal)
      lost.delete(digest.hash)
    },
    async ingest(to, bytes, signal) {
      refuseFull()
      return blobs.ingest(to, bytes, signal)
    },
  }
  const forgetful = { ...store, blobs: own, actions: memoryActions(own), lost, isFull: false }
  return forgetful
}

/** Something that a test lets happen when it likes. */
export function gate(): {
  readonly isReached: Promise<void>
  readonly open: () => void
  readonly pass: () => Promise<void>
} {
  const reached = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  return {
    isReached: reached.promise,
    open: opened.resolve,
    pass: () => {
      reached.resolve()
      return opened.promise
    },
  }
}
