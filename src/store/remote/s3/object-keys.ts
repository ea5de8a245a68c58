import type { ActionDigest, Digest } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'

/**
 * The names of objects below a prefix: `cas/ab/HASH-SIZE`, `ac/INSTANCE/ab/HASH`. All that must be known of an object without
 * reading it is in its name, since metadata is lost where buckets are copied.
 */
export interface ObjectKeys {
  blob(digest: Digest): string
  /** What the names of all objects begin with that may be the blob with this hash. */
  blobsOf(hash: string): string
  action(scope: Scope, action: ActionDigest): string
}

export function objectKeys(prefix: string): ObjectKeys {
  const blobsOf = (hash: string) => `${prefix}cas/${hash.slice(0, 2)}/${hash}-`
  return {
    blobsOf,
    blob: ({ hash, sizeBytes }) => `${blobsOf(hash)}${sizeBytes}`,
    action: ({ instance }, { hash }) => `${prefix}ac/${instanceName(instance)}/${hash.slice(0, 2)}/${hash}`,
  }
}

/** One part of a path, of characters that every store takes as they are: `team/app` is `team_2Fapp`. The empty name is `_`. */
function instanceName(instance: string): string {
  if (instance === '') return '_'
  return [...Buffer.from(instance)].map((byte) => plain(byte) ?? `_${hex(byte)}`).join('')
}

function plain(byte: number): string | undefined {
  const c = String.fromCharCode(byte)
  return /[A-Za-z0-9-]/.test(c) ? c : undefined
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}
