import type { ActionDigest } from '../../digest/digest.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Scope } from '../../store/contracts.ts'
import { artifactKey, artifactResult, headersOf } from '../artifacts.ts'
import type { Served } from '../protocol.ts'
import { turnsEach } from '../turns.ts'
import { blobNamed, LOOK_UPS_A_TURN, nameBlob } from './blobs.ts'
import { type CacheDigest, digestInPath, pathOf } from './cache-digest.ts'
import type { ResultGraph } from './result-graph.ts'

/**
 * Results of mise's tasks. One names all blobs that it reaches, under mise's names, so that it is there with all of them or
 * not at all; its own text stands in a header.
 */
const TOOL = 'mise'
const TEXT = 'result'

/** Its canonical text; undefined where it is not there, or not whole. */
export async function findResult(
  served: Pick<Served, 'actions' | 'usage'>,
  scope: Scope,
  action: CacheDigest,
  signal: AbortSignal,
): Promise<string | undefined> {
  const lookup = await served.actions.get(scope, keyOf(action), signal)
  const use = { instance: scope.instance, action: keyOf(action), by: TOOL }
  served.usage?.note(lookup.kind === 'hit' ? { kind: 'hit', ...use, of: lookup } : { kind: 'miss', ...use })
  if (lookup.kind === 'miss') return undefined
  await nameAll(served, scope, lookup.result, signal)
  return headersOf(lookup.result)[TEXT]
}

/** What was there first stays. */
export async function keepResult(
  { actions, usage }: Pick<Served, 'actions' | 'usage'>,
  scope: Scope,
  { action, text, graph }: { readonly action: CacheDigest; readonly text: string; readonly graph: ResultGraph },
  signal: AbortSignal,
): Promise<'new' | 'same' | 'different'> {
  const before = await findResult({ actions }, scope, action, signal)
  if (before !== undefined) return before === text ? 'same' : 'different'
  const { blobs, durationMs } = graph
  const named = [...blobs].sort(([a], [b]) => (a < b ? -1 : 1))
  const artifact = { tool: TOOL, key: pathOf(action), headers: { [TEXT]: text }, durationMs }
  const result = artifactResult(
    named.map(([, stored]) => stored),
    artifact,
  )
  const outputFiles = result.outputFiles.map((file, i) => ({ ...file, path: named[i]?.[0] ?? file.path }))
  await actions.put(scope, keyOf(action), { ...result, outputFiles }, signal)
  usage?.note({ kind: 'kept', instance: scope.instance, action: keyOf(action), by: TOOL, of: { result } })
  return 'new'
}

/** A client that was told of a result asks for its blobs by their names, which may have been evicted for themselves. */
async function nameAll(
  served: Pick<Served, 'actions'>,
  scope: Scope,
  { outputFiles }: ActionResult,
  signal: AbortSignal,
): Promise<void> {
  const turn = turnsEach(LOOK_UPS_A_TURN)
  for (const { path, digest: stored } of outputFiles) {
    await turn()
    const digest = digestInPath(path)
    if (digest === undefined || stored === undefined) continue
    if ((await blobNamed(served, scope, digest, signal)) === undefined)
      await nameBlob(served, scope, digest, stored, signal)
  }
}

function keyOf(action: CacheDigest): ActionDigest {
  return artifactKey(TOOL, pathOf(action))
}
