import { type ActionDigest, asActionDigest, type Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { Asset } from '../../proto/recue/v1/asset.ts'
import type { Served } from '../protocol.ts'
import type { AssetKind, AssetNames } from './asset-request.ts'

/** Content that a URI names. */
export interface FoundAsset {
  readonly uri: string
  readonly digest: Digest
  /** Unix time; undefined where it does not expire, as far as is known. */
  readonly expiresMs: number | undefined
}

export interface AssetToKeep {
  readonly digest: Digest
  readonly expiresMs: number | undefined
  /** What the content names in its own way, and is no use without. */
  readonly blobs: readonly Digest[]
  readonly directories: readonly Digest[]
}

const TYPE_URL = 'type.googleapis.com/recue.v1.Asset'
const PATH = 'asset'
const NOTHING = ActionResult.decode(new Uint8Array(0))

/** The first of the URIs under which content is known that was not pushed before `oldestMs`. */
export async function findAsset(
  { actions, names }: Pick<Served, 'actions' | 'names'>,
  asked: AssetNames,
  oldestMs: number,
  signal: AbortSignal,
): Promise<FoundAsset | undefined> {
  const { scope, sha256, uris } = asked
  // Content that is named by its hash is right whoever put it there.
  const digest = sha256 === undefined ? undefined : await names.digestOf(scope, sha256)
  if (digest !== undefined) return { uri: uris[0] as string, digest, expiresMs: undefined }
  for (const uri of uris) {
    const lookup = await actions.get(scope, assetKey(asked, uri), signal)
    const found = lookup.kind === 'hit' ? assetIn(lookup.result, asked.kind) : undefined
    if (found === undefined || found.pushedMs < oldestMs) continue
    if (found.expiresMs !== undefined && found.expiresMs <= Date.now()) continue
    if (sha256 === undefined || sha256 === found.digest.hash) return { uri, ...found }
  }
  return undefined
}

/** Content under each of the URIs, in place of what was there. Throws `store.incomplete` where content is missing. */
export async function keepAsset(
  { actions }: Pick<Served, 'actions'>,
  names: AssetNames,
  asset: AssetToKeep,
  signal: AbortSignal,
): Promise<void> {
  const result = resultOf(names.kind, asset)
  await Promise.all(names.uris.map((uri) => actions.put(names.scope, assetKey(names, uri), result, signal)))
}

/** The digest of a text, as no Action message is. */
export function assetKey({ kind, qualifiers }: AssetNames, uri: string): ActionDigest {
  const text = JSON.stringify([kind, uri, ...qualifiers.map(({ name, value }) => [name, value])])
  return asActionDigest(digestOf(Buffer.from(`recue asset\0${text}`)))
}

/** An action result, so that the content leaves with it and not before, and is found only whole. */
export function resultOf(kind: AssetKind, { digest, expiresMs = 0, blobs, directories }: AssetToKeep): ActionResult {
  const [files, trees] = kind === 'blob' ? [[digest], []] : [[], [digest]]
  const asset = Asset.encode({ pushedMs: Date.now(), expiresMs }).finish()
  return {
    ...NOTHING,
    outputFiles: [...files, ...blobs].map((digest, i) => ({
      path: i < files.length ? PATH : `reference/blob/${i}`,
      digest,
      isExecutable: false,
      contents: Buffer.alloc(0),
    })),
    outputDirectories: [...trees, ...directories].map((rootDirectoryDigest, i) => ({
      path: i < trees.length ? PATH : `reference/directory/${i}`,
      rootDirectoryDigest,
      isTopologicallySorted: false,
    })),
    executionMetadata: { worker: '', auxiliaryMetadata: [{ typeUrl: TYPE_URL, value: Buffer.from(asset) }] },
  }
}

function assetIn(result: ActionResult, kind: AssetKind) {
  const packed = result.executionMetadata?.auxiliaryMetadata.find(({ typeUrl }) => typeUrl === TYPE_URL)
  const [file] = result.outputFiles
  const [directory] = result.outputDirectories
  const digest = kind === 'blob' ? file?.digest : directory?.rootDirectoryDigest
  if (packed === undefined || digest === undefined) return undefined
  const { pushedMs, expiresMs } = Asset.decode(packed.value)
  return { digest, pushedMs, expiresMs: expiresMs === 0 ? undefined : expiresMs }
}
