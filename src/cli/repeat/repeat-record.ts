import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { KEY_VERSION } from '../../action/key/key-version.ts'
import type { StreamName } from '../../action/run/stream-order.ts'
import { crc32c } from '../../digest/crc32c.ts'
import { digestOfMessage } from '../../digest/message-digest.ts'
import { TreeSnapshot } from '../../digest/tree-snapshot.ts'
import { VERSION } from '../../version.ts'

/** What a hit came to, and apart from what lies in snapshots all that it rested on. */
export interface RepeatFacts {
  /** Of recue, of its keys and of this record. */
  readonly version: string
  /** What was asked: see {@link askedFor}. */
  readonly asked: string
  /** {@link digestOfEnvironment}, without the variables of these names, on which nothing depends. */
  readonly environment: string
  readonly unimportant: readonly string[]
  /** Of the start of the operating system. */
  readonly boot: string
  /** {@link indexStamp} of the cache folder. */
  readonly index: string
  /** Unix time in milliseconds: the result was looked up then. */
  readonly lookedUpMs: number
  /** Absolute. */
  readonly root: string
  /** Folders that are there, whatever is in them, and paths where nothing is: absolute. */
  readonly folders: readonly string[]
  readonly absent: readonly string[]
  readonly programs: readonly RepeatProgram[]
  /** Whether standard output took colours. */
  readonly colours: boolean
  /** What is written again, in this order: base64. */
  readonly chunks: readonly (readonly [StreamName, string])[]
  readonly exitCode: number
  /** Undefined: no line is said of the hit. */
  readonly said: RepeatSaid | undefined
  /** How long the command took. */
  readonly commandMs: number
  /** The entry of the ledger without its times: an encoded `RunRecord`, in base64. */
  readonly entry: string
}

export interface RepeatSaid {
  readonly key: string
  readonly files: number
  readonly bytes: number
}

/** An absolute path, and of what it leads to: mtimeMs (null: never the same), ctimeMs, size, ino, mode. */
export type RepeatProgram = readonly [string, number | null, number, number, number, number]

export interface RepeatRecord {
  readonly facts: RepeatFacts
  /** All that is there of inputs, outputs and what decides about them; relative to the root. */
  readonly tree: TreeSnapshot
}

const MAGIC = 0x31545052
export const REPEAT_VERSION = `${VERSION} ${KEY_VERSION} 1`

/** magic, checksum of what follows up to the end of the facts, length of the facts: u32 each. Facts, snapshot. */
const HEADER_BYTES = 12

/** What tells one request from another before anything is read: which recue, where, and its words. */
export function askedFor(argv: readonly string[], cwd: string): string {
  return JSON.stringify([process.execPath, argv[1], cwd, ...argv.slice(2)])
}

/** The record of a request, in a cache folder. */
export function repeatPath(cacheDir: string, asked: string): string {
  return `${cacheDir}/tmp/hit-${crc32c(Buffer.from(asked)).toString(16).padStart(8, '0')}`
}

/** What recue itself goes by, whatever the command gets. */
const OWN_NAMES = new Set(['PATH', 'Path', 'PATHEXT', 'HOME', 'XDG_CONFIG_HOME', 'XDG_CACHE_HOME'])

/** Of the variables that are set, those that neither the key nor recue depends on. What is set later is not among them. */
export function unimportantNames(
  environment: Readonly<Record<string, string | undefined>>,
  keyed: readonly string[],
): string[] {
  const depends = new Set([...keyed, ...OWN_NAMES])
  return Object.keys(environment).filter((name) => !depends.has(name) && !name.startsWith('RECUE_'))
}

/** SHA-256, so that no value is in a file. */
export function digestOfEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  unimportant: readonly string[],
): string {
  const left = new Set(unimportant)
  let text = ''
  for (const name of Object.keys(environment)) if (!left.has(name)) text += `${name}=${environment[name]}\0`
  return digestOfMessage(Buffer.from(text)).hash
}

/**
 * The checksum leaves the snapshot out: where its bytes changed, files do not look as it says, as long as something is where
 * it says something is. So it must not speak of what is absent.
 */
export function encodeRepeat({ facts, tree }: RepeatRecord): Uint8Array {
  const text = Buffer.from(JSON.stringify(facts))
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), text, tree.encode().stats])
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(text.length, 8)
  bytes.writeUInt32LE(crc32c(bytes.subarray(8, HEADER_BYTES + text.length)), 4)
  return bytes
}

/** Undefined where there is none, or none that is whole, or it is another user's. */
export function readRepeat(path: string): RepeatRecord | undefined {
  try {
    return decodeRepeat(readOwnFile(path))
  } catch {
    return undefined
  }
}

function readOwnFile(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const { size, uid } = fstatSync(file)
    const bytes = Buffer.allocUnsafeSlow(uid === (process.geteuid?.() ?? uid) ? size : 0)
    for (let read = 0, more = 1; more > 0 && read < bytes.length; read += more)
      more = readSync(file, bytes, read, bytes.length - read, read)
    return bytes
  } finally {
    closeSync(file)
  }
}

export function decodeRepeat(bytes: Buffer): RepeatRecord | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined
  const end = HEADER_BYTES + bytes.readUInt32LE(8)
  if (bytes.length < end || bytes.readUInt32LE(4) !== crc32c(bytes.subarray(8, end))) return undefined
  const tree = TreeSnapshot.decode(bytes.subarray(end))
  return tree && { facts: JSON.parse(bytes.toString('utf8', HEADER_BYTES, end)) as RepeatFacts, tree }
}
