import { type ActionDigest, asActionDigest, type Digest } from '../digest/digest.ts'
import { digestOf } from '../digest/sha256.ts'
import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { Artifact, type ArtifactHeader, RunDetail } from '../proto/recue/v1/recue.ts'
import { BATCH_BLOB_BYTES, type Scope } from '../store/contracts.ts'
import { readWhole } from '../store/read-whole.ts'
import { ARTIFACT_TYPE, artifactIn } from '../store/tool-key.ts'
import type { ProtocolRequest, ReplyBody, Served } from './protocol.ts'

/** Bytes that a tool keeps under a key of its own, and what it wants back with them. */
export interface FoundArtifact {
  readonly digest: Digest
  readonly headers: Readonly<Record<string, string>>
}

export interface ArtifactToKeep {
  readonly tool: string
  readonly key: string
  readonly headers?: Readonly<Record<string, string>>
  /** How long the work took, where the tool says it: what losing it would cost. */
  readonly durationMs?: number
}

/** `cut-off`: other bytes than announced came. */
export type KeepOutcome = 'kept' | 'cut-off'

const RUN_DETAIL_TYPE = 'type.googleapis.com/recue.v1.RunDetail'
const PATH = 'artifact'
const NO_BYTES = Buffer.alloc(0)
const NOTHING = ActionResult.decode(new Uint8Array(0))

/** The key under which an artifact is kept: the digest of a text, as no Action message is. Keys of one tool are not those of another. */
export function artifactKey(tool: string, key: string): ActionDigest {
  return asActionDigest(digestOf(Buffer.from(`recue artifact\0${tool}\0${key}`)))
}

export async function findArtifact(
  { actions, usage }: Pick<Served, 'actions' | 'usage'>,
  scope: Scope,
  { tool, key }: { readonly tool: string; readonly key: string },
  signal: AbortSignal,
): Promise<FoundArtifact | undefined> {
  const action = artifactKey(tool, key)
  const lookup = await actions.get(scope, action, signal)
  const { instance } = scope
  usage?.note(
    lookup.kind === 'hit'
      ? { kind: 'hit', instance, action, by: tool, of: lookup }
      : { kind: 'miss', instance, action, by: tool },
  )
  const digest = lookup.kind === 'hit' ? lookup.result.outputFiles[0]?.digest : undefined
  if (lookup.kind === 'miss' || digest === undefined) return undefined
  return { digest, headers: headersOf(lookup.result) }
}

/** The bytes, checked as far as they are held at once: what is small whole, so that damage is found before the first byte goes out. */
export async function bytesOf(
  { blobs }: Pick<Served, 'blobs'>,
  scope: Scope,
  digest: Digest,
  signal: AbortSignal,
): Promise<ReplyBody | undefined> {
  if (digest.sizeBytes <= BATCH_BLOB_BYTES) return readWhole(blobs, scope, digest, signal)
  const bytes = await blobs.read(scope, digest, { signal })
  return bytes && { bytes, sizeBytes: digest.sizeBytes }
}

/**
 * The same for tools that a body which ends early breaks: all of it is checked before the first byte goes out, which reads what
 * is large twice.
 */
export async function checkedBytesOf(
  served: Pick<Served, 'blobs'>,
  scope: Scope,
  digest: Digest,
  signal: AbortSignal,
): Promise<ReplyBody | undefined> {
  if (digest.sizeBytes > BATCH_BLOB_BYTES) {
    const checked = await served.blobs.read(scope, digest, { signal })
    if (checked === undefined) return undefined
    let sizeBytes = 0
    for await (const chunk of checked) sizeBytes += chunk.length
    if (sizeBytes !== digest.sizeBytes) return undefined
  }
  return bytesOf(served, scope, digest, signal)
}

/** Keeps the request's body; a later artifact takes the place of an earlier one. Nothing is kept that was not received whole. */
export async function keepArtifact(
  { blobs, actions, usage }: Pick<Served, 'blobs' | 'actions' | 'usage'>,
  { scope, body, contentLength, signal }: Pick<ProtocolRequest, 'scope' | 'body' | 'contentLength' | 'signal'>,
  artifact: ArtifactToKeep,
): Promise<KeepOutcome> {
  const digest = await blobs.ingest(scope, body, signal)
  if (contentLength !== undefined && contentLength !== digest.sizeBytes) return 'cut-off'
  await recordArtifact({ actions, usage }, scope, digest, artifact, signal)
  return 'kept'
}

/** Gives bytes that the store has the key by which they are found. Throws `store.incomplete` where it has them not. */
export async function recordArtifact(
  { actions, usage }: Pick<Served, 'actions' | 'usage'>,
  scope: Scope,
  digest: Digest,
  artifact: ArtifactToKeep,
  signal: AbortSignal,
): Promise<void> {
  const action = artifactKey(artifact.tool, artifact.key)
  const result = artifactResult([digest], artifact)
  await actions.put(scope, action, result, signal)
  usage?.note({ kind: 'kept', instance: scope.instance, action, by: artifact.tool, of: { result } })
}

/** Of bytes that came in one piece, or in several that follow each other. */
export function artifactResult(
  pieces: readonly Digest[],
  { tool, key, headers = {}, durationMs = 0 }: ArtifactToKeep,
): ActionResult {
  const own: ArtifactHeader[] = Object.entries(headers).map(([name, value]) => ({ name, value }))
  const packed = [
    { typeUrl: ARTIFACT_TYPE, value: Buffer.from(Artifact.encode({ tool, key, headers: own }).finish()) },
    {
      typeUrl: RUN_DETAIL_TYPE,
      value: Buffer.from(RunDetail.encode({ streamChunks: [], colourForced: false, durationMs }).finish()),
    },
  ]
  return {
    ...NOTHING,
    outputFiles: pieces.map((digest, i) => ({ path: pathOf(i), digest, isExecutable: false, contents: NO_BYTES })),
    executionMetadata: { worker: '', auxiliaryMetadata: packed },
  }
}

/** Sorted by path, as REAPI has it, they are in their order. */
function pathOf(index: number): string {
  return index === 0 ? PATH : `${PATH}.${String(index).padStart(6, '0')}`
}

/** What the tool wants back. */
export function headersOf(result: ActionResult): Record<string, string> {
  return Object.fromEntries(artifactIn(result)?.headers.map(({ name, value }) => [name, value]) ?? [])
}
