import type { Cache } from '../cache.ts'
import { type ActionDigest, asActionDigest, type Digest } from '../digest/digest.ts'
import { storedMessages } from '../observe/messages.ts'
import { Action, type ActionResult, Command } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { type CatalogEntry, DEFAULT_SCOPE } from '../store/contracts.ts'
import { type ResultFile, resultFiles } from './result-files.ts'

/** A result with all that people ask about it. */
export interface KeptResult {
  readonly result: ActionResult
  /** Undefined where it was kept without its Command message, as other clients may do. */
  readonly command: Command | undefined
  /** Undefined where its trees are not whole. */
  readonly files: readonly ResultFile[] | undefined
}

/** Undefined where no whole result is kept under the key. */
export async function keptResult(
  cache: Cache,
  key: ActionDigest,
  signal?: AbortSignal,
): Promise<KeptResult | undefined> {
  const found = await cache.actions.get(DEFAULT_SCOPE, key, signal)
  if (found.kind === 'miss') return undefined
  const { result } = found
  const command = await commandOf(cache, key)
  const workingDirectory = command?.workingDirectory ?? ''
  const files = await resultFiles(cache.blobs, result, { workingDirectory, ...(signal && { signal }) })
  return { result, command, files }
}

/** Where a result comes from: the newest run with its key says it. */
export interface Origin {
  /** The task, or the command line. */
  readonly label: string
  readonly root: string
}

/** By the hash of the key. Results that other clients made, and those whose runs were long ago, have none. */
export function originsByKey(cache: Cache): ReadonlyMap<string, Origin> {
  const origins = new Map<string, Origin>()
  for (const { key, label, root } of cache.ledger.records())
    if (key !== undefined) origins.set(key.hash, { label, root })
  return origins
}

/** All that is listed, in memory: a list is sorted before it is shown. */
export async function entriesOf(cache: Cache): Promise<CatalogEntry[]> {
  const entries: CatalogEntry[] = []
  for await (const entry of cache.catalog.list()) entries.push(entry)
  return entries
}

async function commandOf(cache: Cache, key: Digest): Promise<Command | undefined> {
  const messages = storedMessages(cache.blobs, DEFAULT_SCOPE)
  const action = await messages.read(asActionDigest(key))
  const digest = action && Action.decode(action).commandDigest
  const command = digest && (await messages.read(digest))
  return command && Command.decode(command)
}
