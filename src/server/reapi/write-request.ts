import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { Divide } from '../../grpc/message-parser.ts'
import { WriteRequest } from '../../proto/google/bytestream/bytestream.ts'

/** `resource_name`, `write_offset`, `finish_write` and `data`, as tags. */
const NAME_TAG = 0x0a
const OFFSET_TAG = 0x10
const FINISH_TAG = 0x18
const DATA_TAG = 0x52

/** Reads as generated code does, but leaves the data where they are in the message: uploads are mostly that. */
export const writeRequest: {
  readonly encode: typeof WriteRequest.encode
  decode(message: Uint8Array | BinaryReader): WriteRequest
  readonly divide: Divide
} = {
  encode: WriteRequest.encode,
  decode(message) {
    const reader = message instanceof BinaryReader ? message : new BinaryReader(message)
    const request: WriteRequest = { resourceName: '', writeOffset: 0, finishWrite: false, data: NOTHING }
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      if (tag === NAME_TAG) request.resourceName = reader.string()
      else if (tag === OFFSET_TAG) request.writeOffset = safe(reader.int64())
      else if (tag === FINISH_TAG) request.finishWrite = reader.bool()
      else if (tag === DATA_TAG) request.data = inPlace(reader.bytes())
      else skip(reader, tag)
    }
    return request
  },
  /** What large requests bring is one thing with what several small ones would. */
  divide(start, messageBytes) {
    const dataAt = dataIn(start, messageBytes)
    if (dataAt === undefined) return undefined
    const { resourceName, writeOffset, finishWrite } = writeRequest.decode(start.subarray(0, dataAt.fields))
    return {
      dataAt: dataAt.data,
      part: (data, offset, isLast): WriteRequest => ({
        resourceName: offset === 0 ? resourceName : '',
        writeOffset: writeOffset + offset,
        finishWrite: finishWrite && isLast,
        data: inPlace(data),
      }),
    }
  },
}

/** Where the fields before `data` end, and where `data` begins that goes to the end of the message, as it is with all encoders. */
function dataIn(
  start: Uint8Array,
  messageBytes: number,
): { readonly fields: number; readonly data: number } | undefined {
  const reader = new BinaryReader(start)
  try {
    for (;;) {
      const fields = reader.pos
      const tag = reader.uint32()
      if (tag !== DATA_TAG) skip(reader, tag)
      else return reader.uint32() + reader.pos === messageBytes ? { fields, data: reader.pos } : undefined
    }
  } catch {
    return undefined
  }
}

const NOTHING = Buffer.alloc(0)

function inPlace(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length)
}

function safe(value: bigint | string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new RangeError('an offset that no blob has')
  return number
}

function skip(reader: BinaryReader, tag: number): void {
  const type = tag & 7
  if (tag >>> 3 === 0 || type === WireType.EndGroup) throw new RangeError('no field')
  reader.skip(type, tag >>> 3)
}
