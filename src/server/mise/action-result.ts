import { type CacheDigest, digestInJson } from './cache-digest.ts'

/** What an action result names. */
export interface MiseResult {
  readonly action: CacheDigest
  readonly metadata: CacheDigest | undefined
  readonly outputRoot: CacheDigest | undefined
}

type Fields = Readonly<Record<string, unknown>>

/**
 * Undefined: it is no action result of version 1. Clients send it bare; the protocol's document has it in an envelope, beside
 * signatures, which are kept for those who check them.
 */
export function actionResult(value: Fields): MiseResult | undefined {
  const bare = 'result' in value ? enveloped(value) : value
  if (bare === undefined) return undefined
  const { version, action, metadata, output_root: root, ...more } = bare
  if (version !== 1 || Object.keys(more).length > 0) return undefined
  const named = digestInJson(action)
  if (named === undefined || !isDigestOrNone(metadata) || !isDigestOrNone(root)) return undefined
  return { action: named, metadata: digestInJson(metadata), outputRoot: digestInJson(root) }
}

function enveloped({ result, signatures = [], ...more }: Fields): Fields | undefined {
  if (typeof result !== 'object' || result === null || !Array.isArray(signatures)) return undefined
  if (!signatures.every(isSignature)) return undefined
  return Object.keys(more).length === 0 ? (result as Fields) : undefined
}

function isDigestOrNone(value: unknown): boolean {
  return value === undefined || value === null || digestInJson(value) !== undefined
}

/** Texts alone: what is nested at will would be a stack to overflow. */
function isSignature(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.values(value).every((text) => typeof text === 'string')
}
