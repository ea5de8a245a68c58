import { CacheError } from '../../errors.ts'
import type { LegacySignature } from './legacy-signature.ts'

/** A kept task result. Only successful ones were kept, and no output of the command. */
export interface LegacyResult {
  readonly key: string
  /** Unix milliseconds. */
  readonly executedMs: number
  readonly exitCode: number
  /** Path relative to the working directory → SHA-256 of the file in hex. */
  readonly outputFiles: Readonly<Record<string, string>>
}

/** `tasks/<key>.json` by its generation: the first had no manifests of outputs worth reading, the last is signed. */
export type LegacyEntry =
  | { readonly kind: 'first' }
  | { readonly kind: 'plain'; readonly result: LegacyResult }
  | {
      readonly kind: 'signed'
      readonly result: LegacyResult
      readonly signature: LegacySignature
      /** The bytes that the signature is of: the data as the old tool would write them. */
      readonly signedText: string
    }

/** The data in the old order of members; by it files are written and signatures made. */
export function legacyData({ key, executedMs, exitCode, outputFiles }: LegacyResult): object {
  return dataOf(key, timeOf(executedMs), exitCode, null, null, outputFiles)
}

/** Throws `store.corrupt` for what is no entry of any generation: the old tool ended the task then. */
export function parseLegacyEntry(text: string): LegacyEntry {
  const entry = objectOf(parsed(text), 'the entry')
  if ('data' in entry || 'signature' in entry) return signedEntry(entry)
  if ('output_hashes' in entry) return { kind: 'first' }
  return { kind: 'plain', result: readData(entry).result }
}

function signedEntry(entry: Record<string, unknown>): LegacyEntry {
  const { result, text } = readData(objectOf(entry.data, 'data'))
  const { signature, nonce, timestamp } = entry
  if (typeof signature !== 'string' || typeof nonce !== 'string' || !isWhole(timestamp)) throw noEntry('its signature')
  return { kind: 'signed', result, signature: { signature, nonce, timestamp }, signedText: text }
}

function readData(data: Record<string, unknown>): { result: LegacyResult; text: string } {
  const { cache_key: key, exit_code: exitCode, stdout = null, stderr = null } = data
  const time = objectOf(data.executed_at, 'executed_at')
  const { secs_since_epoch: seconds, nanos_since_epoch: nanos } = time
  const outputFiles = objectOf(data.output_files, 'output_files') as Record<string, string>
  if (typeof key !== 'string' || !Number.isInteger(exitCode)) throw noEntry('cache_key or exit_code')
  if (!isWhole(seconds) || !isWhole(nanos)) throw noEntry('executed_at')
  if (!Object.values(outputFiles).every((hash) => typeof hash === 'string')) throw noEntry('output_files')
  const executedAt = { secs_since_epoch: seconds, nanos_since_epoch: nanos }
  return {
    result: { key, executedMs: seconds * 1000 + nanos / 1e6, exitCode: exitCode as number, outputFiles },
    text: JSON.stringify(dataOf(key, executedAt, exitCode as number, stdout, stderr, outputFiles)),
  }
}

function dataOf(
  key: string,
  executedAt: object,
  exitCode: number,
  stdout: unknown,
  stderr: unknown,
  outputFiles: Readonly<Record<string, string>>,
): object {
  return { cache_key: key, executed_at: executedAt, exit_code: exitCode, stdout, stderr, output_files: outputFiles }
}

function timeOf(ms: number): object {
  const seconds = Math.floor(ms / 1000)
  return { secs_since_epoch: seconds, nanos_since_epoch: Math.floor((ms - seconds * 1000) * 1e6) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CacheError('store.corrupt', 'An entry of the old cache is no JSON.', { cause })
  }
}

function objectOf(value: unknown, name: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw noEntry(name)
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}

function noEntry(what: string): CacheError {
  return new CacheError('store.corrupt', `An entry of the old cache is not as it should be: ${what}.`)
}
