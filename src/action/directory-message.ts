import { Directory, type FileNode } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'

/**
 * `Directory.encode(directory).finish()`, in a third of the time where there are thousands of files: their nodes are
 * written straight into one buffer, while the generated code makes a list of pieces for each.
 */
export function encodeDirectory(directory: Directory): Uint8Array {
  const { files, directories, symlinks, nodeProperties } = directory
  if (files.some(hasMore)) return Directory.encode(directory).finish()
  // Fields stand in the order of their numbers, and the files' is the first.
  const rest = Directory.encode({ files: [], directories, symlinks, nodeProperties }).finish()
  const bytes = Buffer.allocUnsafe(files.reduce((most, file) => most + mostBytes(file), rest.length))
  let at = 0
  for (const file of files) at = writeFileNode(file, bytes, at)
  bytes.set(rest, at)
  return bytes.subarray(0, at + rest.length)
}

const HASH_CHARACTERS = 64
/** Tags and lengths of node, name, digest and hash, the size's tag and ten digits of seven bits, and the executable bit. */
const MOST_FRAME_BYTES = 32
/** Lengths below this take one byte. */
const ONE_BYTE = 128

/** What {@link writeFileNode} does not write: properties, digests of other functions, names of more than a byte's length. */
function hasMore({ name, digest, nodeProperties }: FileNode): boolean {
  return (
    nodeProperties !== undefined ||
    digest === undefined ||
    digest.hash.length !== HASH_CHARACTERS ||
    name === '' ||
    name.length * 3 >= ONE_BYTE
  )
}

function mostBytes({ name }: FileNode): number {
  return MOST_FRAME_BYTES + HASH_CHARACTERS + name.length * 3
}

function writeFileNode({ name, digest, isExecutable }: FileNode, bytes: Buffer, start: number): number {
  const { hash, sizeBytes } = digest as { hash: string; sizeBytes: number }
  // The node's own length is known last: it takes one byte, seldom two.
  const nameBytes = bytes.write(name, start + 4)
  const sizeLength = sizeBytes === 0 ? 0 : 1 + varintBytes(sizeBytes)
  const digestBytes = 2 + HASH_CHARACTERS + sizeLength
  const nodeBytes = 2 + nameBytes + 2 + digestBytes + (isExecutable ? 2 : 0)
  let at = start
  bytes[at++] = 10
  if (nodeBytes >= ONE_BYTE) bytes[at++] = (nodeBytes & 127) | 128
  bytes[at++] = nodeBytes >= ONE_BYTE ? nodeBytes >> 7 : nodeBytes
  bytes[at++] = 10
  bytes[at++] = nameBytes
  if (at !== start + 4) bytes.copyWithin(at, start + 4, start + 4 + nameBytes)
  at += nameBytes
  bytes[at++] = 18
  bytes[at++] = digestBytes
  bytes[at++] = 10
  bytes[at++] = HASH_CHARACTERS
  at += bytes.write(hash, at, 'latin1')
  if (sizeBytes > 0) {
    bytes[at++] = 16
    at = writeVarint(sizeBytes, bytes, at)
  }
  if (isExecutable) {
    bytes[at++] = 32
    bytes[at++] = 1
  }
  return at
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= ONE_BYTE; rest = Math.floor(rest / ONE_BYTE)) bytes++
  return bytes
}

function writeVarint(value: number, bytes: Buffer, start: number): number {
  let at = start
  let rest = value
  for (; rest >= ONE_BYTE; rest = Math.floor(rest / ONE_BYTE)) bytes[at++] = (rest % ONE_BYTE) | ONE_BYTE
  bytes[at++] = rest
  return at
}
