import type { Cache } from '../cache.ts'
import { asActionDigest, type Digest } from '../digest/digest.ts'
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
  { action: key, instance }: Pick<CatalogEntry, 'action' | 'instance'>,
  signal?: AbortSignal,
): Promise<KeptResult | undefined> {
  const found = await cache.actions.get({ instance }, key, signal)
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

/** Where results come from. Those that other clients made, and those whose runs were long ago, have no origin. */
export function originsOf(cache: Cache): (entry: CatalogEntry) => Origin | undefined {
  const origins = new Map<string, Origin>()
  for (const { key, label, root, tool } of cache.ledger.records()) {
    // What a server answers is of an instance, and that stands where a run of recue's own has its folder.
    if (key !== undefined) origins.set(nameOf(key.hash, tool === '' ? '' : root), { label, root })
  }
  return ({ action, instance, toolKey }) =>
    origins.get(nameOf(action.hash, instance)) ?? (toolKey && { label: toolKey.tool, root: instance })
}

/** The same key is another result in another instance. */
function nameOf(hash: string, instance: string): string {
  return `${hash} ${instance}`
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
