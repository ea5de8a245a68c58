import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { Compressor_Value } from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { Digest } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { Status } from '../../../proto/google/rpc/status.ts'

/** One of REAPI's BatchReadBlobsResponse.Response. */
export interface ReadAnswer {
  readonly digest: Digest | undefined
  /** A view of the message. */
  readonly data: Uint8Array
  readonly status: Status | undefined
  readonly compressor: Compressor_Value
}

const NOTHING = new Uint8Array(0)

/**
 * Those of a BatchReadBlobsResponse. Read by hand, since the generated code copies the data, which takes as long as to look whether
 * they are right. Throws at what is no message.
 */
export function readAnswersIn(message: Uint8Array): ReadAnswer[] {
  const reader = new BinaryReader(message)
  const answers: ReadAnswer[] = []
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === WireType.LengthDelimited) answers.push(answerIn(reader.bytes()))
    else reader.skip(type, field)
  }
  return answers
}

function answerIn(message: Uint8Array): ReadAnswer {
  const reader = new BinaryReader(message)
  let digest: Digest | undefined
  let data: Uint8Array = NOTHING
  let status: Status | undefined
  let compressor: Compressor_Value = 0
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    const isBytes = type === WireType.LengthDelimited
    if (field === 1 && isBytes) digest = Digest.decode(reader, reader.uint32())
    else if (field === 2 && isBytes) data = reader.bytes()
    else if (field === 3 && isBytes) status = Status.decode(reader, reader.uint32())
    else if (field === 4 && type === WireType.Varint) compressor = reader.int32() as Compressor_Value
    else reader.skip(type, field)
  }
  return { digest, data, status, compressor }
}
