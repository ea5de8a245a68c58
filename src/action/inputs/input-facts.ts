import type { Digest } from '../../digest/digest.ts'

/** What a snapshot of inputs says beside its paths: the head of the {@link TreeSnapshot}. */
export interface InputFacts {
  /** Which inputs were asked for; another snapshot may have got the same name. */
  readonly selection: string
  readonly rootDigest: Digest
  /** How many files and links the tree has. */
  readonly count: number
  /** A {@link Role} for each path of the snapshot. */
  readonly roles: Uint8Array
  /** Texts of the links among the inputs, in the order of the paths. */
  readonly texts: () => readonly string[]
  /** See {@link Listing}. */
  readonly unselected: () => readonly string[]
  readonly repositories: () => readonly { readonly top: string; readonly mark: string }[]
}

const VERSION = 2
/** Version, hash, size, count, and the lengths of five parts. */
const FIXED_BYTES = 4 + 32 + 8 + 4 + 5 * 4

export function encodeInputFacts(facts: InputFacts): Uint8Array {
  const parts = [
    Buffer.from(facts.selection),
    facts.roles,
    joined(facts.texts()),
    joined(facts.unselected()),
    joined(facts.repositories().flatMap(({ top, mark }) => [top, mark])),
  ]
  const fixed = Buffer.alloc(FIXED_BYTES)
  fixed.writeUInt32LE(VERSION, 0)
  fixed.write(facts.rootDigest.hash, 4, 'hex')
  fixed.writeDoubleLE(facts.rootDigest.sizeBytes, 36)
  fixed.writeUInt32LE(facts.count, 44)
  parts.forEach((part, i) => void fixed.writeUInt32LE(part.length, 48 + i * 4))
  return Buffer.concat([fixed, ...parts])
}

/** Undefined for bytes of another layout. The lists are decoded when they are asked for: a hit does not need them. */
export function decodeInputFacts(head: Uint8Array): InputFacts | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
  if (bytes.length < FIXED_BYTES || bytes.readUInt32LE(0) !== VERSION) return undefined
  const parts: Buffer[] = []
  let at = FIXED_BYTES
  for (let i = 0; i < 5; i++) {
    const length = bytes.readUInt32LE(48 + i * 4)
    parts.push(bytes.subarray(at, at + length))
    at += length
  }
  if (at !== bytes.length) return undefined
  const [selection, roles, texts, unselected, repositories] = parts as [Buffer, Buffer, Buffer, Buffer, Buffer]
  return {
    selection: selection.toString(),
    rootDigest: { hash: bytes.toString('hex', 4, 36), sizeBytes: bytes.readDoubleLE(36) },
    count: bytes.readUInt32LE(44),
    roles,
    texts: () => split(texts),
    unselected: () => split(unselected),
    repositories: () => pairs(split(repositories)),
  }
}

/** Each ended by a NUL, which no path has: so an empty string can be told from none. */
function joined(texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\0`).join(''))
}

function split(bytes: Buffer): string[] {
  return bytes.toString().split('\0').slice(0, -1)
}

function pairs(texts: readonly string[]): { top: string; mark: string }[] {
  return texts.flatMap((top, i) => (i % 2 === 0 ? [{ top, mark: texts[i + 1] as string }] : []))
}
