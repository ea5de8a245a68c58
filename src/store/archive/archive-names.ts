import { type ActionDigest, asActionDigest, type Digest } from '../../digest/digest.ts'

/** Goes up when an older reader would misunderstand what is written. */
export const ARCHIVE_VERSION = 1

/** The first entry, whose content is the version, and the last, without which an archive is not whole. */
export const HEAD_NAME = 'recue-archive'
export const END_NAME = 'end'

export function blobName({ hash }: Digest): string {
  return `blobs/${hash}`
}

/** The result's own hash is in the name too, so that an entry proves itself. */
export function actionName(action: ActionDigest, { hash }: Digest): string {
  return `actions/${action.hash}-${action.sizeBytes}/${hash}`
}

export type EntryName =
  | { readonly kind: 'head' }
  | { readonly kind: 'end' }
  | { readonly kind: 'blob'; readonly hash: string }
  | { readonly kind: 'action'; readonly action: ActionDigest; readonly resultHash: string }
  /** Nothing that this version knows. */
  | { readonly kind: 'unknown' }

const BLOB = /^blobs\/([0-9a-f]{64})$/
const ACTION = /^actions\/([0-9a-f]{64})-(\d{1,15})\/([0-9a-f]{64})$/

export function parseName(name: string): EntryName {
  if (name === HEAD_NAME) return { kind: 'head' }
  if (name === END_NAME) return { kind: 'end' }
  const blob = BLOB.exec(name)
  if (blob !== null) return { kind: 'blob', hash: blob[1] as string }
  const [, hash, size, resultHash] = ACTION.exec(name) ?? []
  if (hash === undefined || resultHash === undefined) return { kind: 'unknown' }
  return { kind: 'action', action: asActionDigest({ hash, sizeBytes: Number(size) }), resultHash }
}
