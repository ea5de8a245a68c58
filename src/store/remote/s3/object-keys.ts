import type { ActionDigest, Digest } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'

/**
 * The names of objects below a prefix: `cas/ab/HASH-SIZE`, `ac/INSTANCE/ab/HASH`. All that must be known of an object without
 * reading it is in its name, since metadata is lost where buckets are copied.
 */
export interface ObjectKeys {
  blob(digest: Digest): string
  action(scope: Scope, action: ActionDigest): string
}

export function objectKeys(prefix: string): ObjectKeys {
  return {
    blob: ({ hash, sizeBytes }) => `${prefix}cas/${hash.slice(0, 2)}/${hash}-${sizeBytes}`,
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
