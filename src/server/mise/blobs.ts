import type { Digest } from '../../digest/digest.ts'
import type { Scope } from '../../store/contracts.ts'
import { readWhole } from '../../store/read-whole.ts'
import { findArtifact, recordArtifact } from '../artifacts.ts'
import type { Served } from '../protocol.ts'
import { type CacheDigest, pathOf } from './cache-digest.ts'
import { namedBytes } from './named-bytes.ts'

/**
 * Blobs by mise's digests. The store knows them by SHA-256: which is which is an artifact, so that one namespace does not
 * learn of the other's blobs and a name goes when its blob does.
 */
const TOOL = 'mise blob'

/** About five milliseconds. */
export const LOOK_UPS_A_TURN = 256

/** By which name the store has it; undefined where it has it not. */
export async function blobNamed(
  { actions }: Pick<Served, 'actions'>,
  scope: Scope,
  digest: CacheDigest,
  signal: AbortSignal,
): Promise<Digest | undefined> {
  return (await findArtifact({ actions }, scope, { tool: TOOL, key: pathOf(digest) }, signal))?.digest
}

/** Throws `OtherBytes`; nothing is kept then. */
export async function keepBlob(
  served: Served,
  scope: Scope,
  digest: CacheDigest,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const stored = await served.blobs.ingest(scope, namedBytes(bytes, digest), signal)
  await nameBlob(served, scope, digest, stored, signal)
}

export async function nameBlob(
  { actions }: Pick<Served, 'actions'>,
  scope: Scope,
  digest: CacheDigest,
  stored: Digest,
  signal: AbortSignal,
): Promise<void> {
  await recordArtifact({ actions }, scope, stored, { tool: TOOL, key: pathOf(digest) }, signal)
}

/** For objects of the protocol, which are small. */
export async function objectBytes(
  { blobs }: Pick<Served, 'blobs'>,
  scope: Scope,
  stored: Digest,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  return stored.sizeBytes > MOST_OBJECT_BYTES ? undefined : readWhole(blobs, scope, stored, signal)
}

const MOST_OBJECT_BYTES = 16 << 20
