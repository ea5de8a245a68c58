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
  /** {@link digestOfEnvironment}, without the variables that `withheld` names. */
  readonly environment: string
  readonly withheld: readonly string[]
  /** Of the start of the operating system. */
  readonly boot: string
  /** {@link indexStamp} of the cache folder. */
  readonly index: string
  /** Unix time in milliseconds: the result was looked up then. */
  readonly lookedUpMs: number
  /** Absolute. */
  readonly root: string
  /** Absolute paths of folders that are there, whatever is in them. */
  readonly folders: readonly string[]
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

export interface RepeatRecord {
  readonly facts: RepeatFacts
  /** Relative to the root. */
  readonly inputs: TreeSnapshot
  readonly outputs: TreeSnapshot
  /** Absolute paths as they are themselves. */
  readonly places: TreeSnapshot
  /** Absolute paths, and the looks of what they lead to. */
  readonly programs: TreeSnapshot
}

const MAGIC = 0x31545052
export const REPEAT_VERSION = `${VERSION} ${KEY_VERSION} 1`

/** magic, checksum of all that follows, then the lengths of the facts and of four snapshots: u32 each. */
const HEADER_BYTES = 28

/** What tells one request from another before anything is read: which recue, where, and its words. */
export function askedFor(argv: readonly string[], cwd: string): string {
  return JSON.stringify([process.execPath, argv[1], cwd, ...argv.slice(2)])
}

/** The record of a request, in a cache folder. */
export function repeatPath(cacheDir: string, asked: string): string {
  return `${cacheDir}/tmp/hit-${crc32c(Buffer.from(asked)).toString(16).padStart(8, '0')}`
}

/** SHA-256: the values are in no file. recue's own variables count even where the command does not get them. */
export function digestOfEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  withheld: readonly string[],
): string {
  const left = new Set(withheld)
  let text = ''
  for (const name of Object.keys(environment))
    if (!left.has(name) || name.startsWith('RECUE_')) text += `${name}=${environment[name]}\0`
  return digestOfMessage(Buffer.from(text)).hash
}

export function encodeRepeat({ facts, inputs, outputs, places, programs }: RepeatRecord): Uint8Array {
  const parts = [
    Buffer.from(JSON.stringify(facts)),
    ...[inputs, outputs, places, programs].map((snapshot) => snapshot.encode().stats),
  ]
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(MAGIC, 0)
  parts.forEach((part, i) => void header.writeUInt32LE(part.length, 8 + 4 * i))
  const bytes = Buffer.concat([header, ...parts])
  bytes.writeUInt32LE(crc32c(bytes, 0, 8), 4)
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
  if (bytes.readUInt32LE(4) !== crc32c(bytes, 0, 8)) return undefined
  const parts: Buffer[] = []
  let at = HEADER_BYTES
  for (let i = 0; i < 5; i++) {
    const end = at + bytes.readUInt32LE(8 + 4 * i)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  const [text, ...snapshots] = parts as [Buffer, ...Buffer[]]
  const [inputs, outputs, places, programs] = snapshots.map((part) => TreeSnapshot.decode(part))
  if (!inputs || !outputs || !places || !programs) return undefined
  return { facts: JSON.parse(text.toString()) as RepeatFacts, inputs, outputs, places, programs }
}
