import type { Digest } from '../../digest/digest.ts'
import type { Scope } from '../../store/contracts.ts'
import { artifactKey, artifactResult, findArtifact, headersOf, keepArtifact } from '../artifacts.ts'
import type { ProtocolRequest, Served } from '../protocol.ts'
import { turnsEach } from '../turns.ts'
import { sizeOf } from './entries.ts'
import type { Grant } from './signed-url.ts'

/**
 * What has come of an upload before its entry is finalized: a block is an artifact, and so is the archive that they were put
 * together to. What nobody finalizes is evicted like anything that nobody asks for.
 */
const BLOCK = 'actions-cache block'
const UPLOAD = 'actions-cache upload'
/** Look-ups of about five milliseconds; removals that share a commit. */
const AT_ONCE = 256

/** A whole archive that is no entry yet. */
export interface Upload {
  readonly entry: string
  readonly parts: readonly Digest[]
  readonly sizeBytes: number
  /** The names under which its blocks are kept. */
  readonly blocks: readonly string[]
}

/** A later block of the same name takes the place of an earlier one. */
export function keepBlock(
  { blobs, actions }: Served,
  request: ProtocolRequest,
  { upload }: Grant,
  block: string,
): Promise<'kept' | 'cut-off'> {
  return keepArtifact({ blobs, actions }, request, { tool: BLOCK, key: `${upload} ${block}` })
}

/** Puts blocks together. Undefined: one of them is not there. */
export async function keepBlocks(
  served: Served,
  scope: Scope,
  { entry, upload }: Grant,
  blocks: readonly string[],
  signal: AbortSignal,
): Promise<Upload | undefined> {
  const names = blocks.map((block) => `${upload} ${block}`)
  const parts: Digest[] = []
  const turn = turnsEach(AT_ONCE)
  for (const key of names) {
    const found = await findArtifact({ actions: served.actions }, scope, { tool: BLOCK, key }, signal)
    if (found === undefined) return undefined
    parts.push(found.digest)
    await turn()
  }
  return keepUpload(served, scope, { entry, parts, sizeBytes: sizeOf(parts), blocks: names }, signal)
}

/** By its size too, which is what finalizing tells of it: of two uploads for one entry, each finds one that is whole. */
export async function keepUpload(served: Served, scope: Scope, upload: Upload, signal: AbortSignal): Promise<Upload> {
  const artifact = { tool: UPLOAD, key: keyOf(upload), headers: { blocks: JSON.stringify(upload.blocks) } }
  await served.actions.put(scope, artifactKey(UPLOAD, artifact.key), artifactResult(upload.parts, artifact), signal)
  return upload
}

export async function uploadOf(
  { actions }: Pick<Served, 'actions'>,
  scope: Scope,
  named: Pick<Upload, 'entry' | 'sizeBytes'>,
  signal: AbortSignal,
): Promise<Upload | undefined> {
  const lookup = await actions.get(scope, artifactKey(UPLOAD, keyOf(named)), signal)
  if (lookup.kind === 'miss') return undefined
  const parts = lookup.result.outputFiles.flatMap(({ digest }) => digest ?? [])
  const { blocks = '[]' } = headersOf(lookup.result)
  return { ...named, parts, blocks: JSON.parse(blocks) as string[] }
}

/** Its blobs stay as long as an entry names them. */
export async function forgetUpload({ actions }: Pick<Served, 'actions'>, scope: Scope, upload: Upload): Promise<void> {
  const blocks = [...new Set(upload.blocks)]
  for (let i = 0; i < blocks.length; i += AT_ONCE)
    await Promise.all(blocks.slice(i, i + AT_ONCE).map((block) => actions.remove(scope, artifactKey(BLOCK, block))))
  await actions.remove(scope, artifactKey(UPLOAD, keyOf(upload)))
}

function keyOf({ entry, sizeBytes }: Pick<Upload, 'entry' | 'sizeBytes'>): string {
  return `${entry} ${sizeBytes}`
}
