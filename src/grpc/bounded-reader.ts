import { BinaryReader } from '@bufbuild/protobuf/wire'
import { GrpcCode, GrpcStatus } from './status.ts'

/** Tags and lengths: of output files with a digest, the shortest things that are sent by the thousand, 4 MiB have 560,000. */
const MOST_STEPS = 600_000

/**
 * What to decode a message of a stranger with: an element takes two bytes on the wire and some hundreds in memory, so that
 * one of 4 MiB could take a gigabyte. Reading more fields than anybody needs throws RESOURCE_EXHAUSTED.
 */
export function boundedReader(message: Uint8Array): Uint8Array | BoundedReader {
  // Each step takes a byte.
  return message.length <= MOST_STEPS ? message : new BoundedReader(message)
}

export class BoundedReader extends BinaryReader {
  readonly message: Uint8Array

  constructor(message: Uint8Array) {
    super(message)
    this.message = message
    const read = this.uint32
    let left = MOST_STEPS
    this.uint32 = () => {
      if (left-- === 0) throw new GrpcStatus(GrpcCode.RESOURCE_EXHAUSTED, 'A message has more fields than are read.')
      return read.call(this)
    }
  }
}
