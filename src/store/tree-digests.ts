import type { Digest } from '../digest/digest.ts'
import { Digest as DigestMessage } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'

/**
 * The digests of all files in an encoded Tree, in its order; undefined when it is none. Walks over the fields instead of
 * making the messages, of which there are two for each file: a put of 10,000 outputs waits for this.
 */
export function treeFileDigests(tree: Uint8Array): Digest[] | undefined {
  return walked(tree, (directories, bytes) => {
    const digests: Digest[] = []
    while (directories.next()) {
      // 1 is the root, 2 a child.
      if (!directories.isMessage(1) && !directories.isMessage(2)) continue
      const nodes = directories.inner()
      while (nodes.next()) if (nodes.isMessage(FILES)) addDigest(nodes, bytes, digests)
    }
    return digests
  })
}

/** What a Directory names itself. */
export interface DirectoryDigests {
  readonly files: readonly Digest[]
  readonly directories: readonly Digest[]
}

/** The same of an encoded Directory. */
export function directoryDigests(directory: Uint8Array): DirectoryDigests | undefined {
  return walked(directory, (nodes, bytes) => {
    const files: Digest[] = []
    const directories: Digest[] = []
    while (nodes.next()) {
      if (nodes.isMessage(FILES)) addDigest(nodes, bytes, files)
      else if (nodes.isMessage(DIRECTORIES)) addDigest(nodes, bytes, directories)
    }
    return { files, directories }
  })
}

/** Of a Directory. The nodes of both have their digest as field 2. */
const FILES = 1
const DIRECTORIES = 2

function walked<T>(message: Uint8Array, walk: (fields: Fields, bytes: Buffer) => T): T | undefined {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  try {
    return walk(new Fields(bytes, 0, bytes.length), bytes)
  } catch (error) {
    if (error instanceof NoMessage) return undefined
    throw error
  }
}

function addDigest(nodes: Fields, bytes: Buffer, digests: Digest[]): void {
  const node = nodes.inner()
  let digest: Digest | undefined
  while (node.next()) if (node.isMessage(2)) digest = digestAt(bytes, node.start, node.end)
  if (digest !== undefined) digests.push(digest)
}

const HASH_CHARACTERS = 64
const HASH_END = 2 + HASH_CHARACTERS

/** As every client writes it: a hash of 64 characters, then the size. Anything else is left to the generated code. */
function digestAt(bytes: Buffer, start: number, end: number): Digest {
  const isUsual = bytes[start] === 10 && bytes[start + 1] === HASH_CHARACTERS && bytes[start + HASH_END] === 16
  if (isUsual && end > start + HASH_END + 1) {
    const size = new Fields(bytes, start + HASH_END + 1, end)
    const sizeBytes = size.varint()
    if (size.position === end) return { hash: bytes.toString('latin1', start + 2, start + HASH_END), sizeBytes }
  }
  return decoded(bytes.subarray(start, end))
}

function decoded(bytes: Uint8Array): Digest {
  try {
    return DigestMessage.decode(bytes)
  } catch {
    throw new NoMessage()
  }
}

class NoMessage extends Error {}

const VARINT = 0
const FIXED_64 = 1
const LENGTH = 2
const FIXED_32 = 5

/** The fields of a message, one after the other, in place. */
class Fields {
  readonly #bytes: Buffer
  readonly #limit: number
  #tag = 0
  position: number
  /** Where the content of the present field begins and ends. */
  start = 0
  end = 0

  constructor(bytes: Buffer, start: number, limit: number) {
    this.#bytes = bytes
    this.#limit = limit
    this.position = start
  }

  /** False at the end. Throws what ends a decoder too. */
  next(): boolean {
    if (this.position === this.#limit) return false
    this.#tag = this.varint()
    this.start = this.position
    this.position = this.end = this.#contentEnd()
    if (this.end > this.#limit) throw new NoMessage()
    return true
  }

  isMessage(field: number): boolean {
    return this.#tag === field * 8 + LENGTH
  }

  /** The fields of the present one. */
  inner(): Fields {
    return new Fields(this.#bytes, this.start, this.end)
  }

  varint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      if (this.position >= this.#limit) throw new NoMessage()
      const byte = this.#bytes[this.position++] as number
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new NoMessage()
  }

  #contentEnd(): number {
    switch (this.#tag % 8) {
      case VARINT:
        this.varint()
        return this.position
      case FIXED_64:
        return this.position + 8
      case LENGTH: {
        const length = this.varint()
        this.start = this.position
        return this.position + length
      }
      case FIXED_32:
        return this.position + 4
      default:
        // A group, of which REAPI has none.
        throw new NoMessage()
    }
  }
}
