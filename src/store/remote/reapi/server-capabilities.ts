import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** Of REAPI's CacheCapabilities, what a client goes by. */
export interface CacheCapabilities {
  readonly digestFunctions: readonly number[]
  readonly updateEnabled: boolean
  /** 0: no limit of its own. */
  readonly maxBatchTotalSizeBytes: number
  /** In which blobs are given, one by one or in batches, and taken one by one. */
  readonly compressors: readonly number[]
  /** In which they are taken in batches. */
  readonly batchUpdateCompressors: readonly number[]
}

/**
 * The cache's part of a ServerCapabilities; undefined where there is none. Read by hand, since a server (bazel-remote) says
 * 2^63 - 1 of its largest blob, at which the generated code ends.
 */
export function cacheCapabilitiesIn(message: Uint8Array): CacheCapabilities | undefined {
  let found: CacheCapabilities | undefined
  for (const [reader, field] of fieldsOf(message)) if (field === 1) found = cacheIn(reader.bytes())
  return found
}

function cacheIn(message: Uint8Array): CacheCapabilities {
  const digestFunctions: number[] = []
  const compressors: number[] = []
  const batchUpdateCompressors: number[] = []
  let updateEnabled = false
  let maxBatchTotalSizeBytes = 0
  for (const [reader, field, type] of fieldsOf(message)) {
    if (field === 1) digestFunctions.push(...numbers(reader, type))
    else if (field === 2) updateEnabled = isEnabled(reader.bytes())
    else if (field === 4) maxBatchTotalSizeBytes = Number(reader.int64())
    else if (field === 6) compressors.push(...numbers(reader, type))
    else if (field === 7) batchUpdateCompressors.push(...numbers(reader, type))
  }
  return { digestFunctions, updateEnabled, maxBatchTotalSizeBytes, compressors, batchUpdateCompressors }
}

function isEnabled(message: Uint8Array): boolean {
  let isSo = false
  for (const [reader, field] of fieldsOf(message)) if (field === 1) isSo = reader.bool()
  return isSo
}

/** Of a repeated field: packed, or one by one. */
function numbers(within: BinaryReader, type: WireType): number[] {
  if (type !== WireType.LengthDelimited) return [within.int32()]
  const reader = new BinaryReader(within.bytes())
  const values: number[] = []
  while (reader.pos < reader.len) values.push(reader.int32())
  return values
}

/** The reader at each field's content; what is not read is passed over. Throws at what is no message. */
function* fieldsOf(message: Uint8Array): Generator<[BinaryReader, number, WireType]> {
  const reader = new BinaryReader(message)
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    const start = reader.pos
    yield [reader, field, type]
    if (reader.pos === start) reader.skip(type)
  }
}
