import { createHash } from 'node:crypto'

/** What is kept of an action result. */
export interface KeptResult {
  /** Of the action, not of the result. */
  readonly actionBytes: number
  readonly encoded: Uint8Array
}

const VERSION = 1
const SUM_AT = 9
const HEAD_BYTES = SUM_AT + 32

/**
 * The value under an action's key: a 1, the size of the action (8 bytes, signed, little-endian), SHA-256 of key, those 9 bytes and the
 * result, and the result as protobuf has it.
 */
export function encodedResult(key: string, { actionBytes, encoded }: KeptResult): Buffer {
  const value = Buffer.alloc(HEAD_BYTES + encoded.length)
  value.writeUInt8(VERSION, 0)
  value.writeBigInt64LE(BigInt(actionBytes), 1)
  value.set(encoded, HEAD_BYTES)
  value.set(sumOf(key, value), SUM_AT)
  return value
}

/** Undefined: not what was written there. */
export function decodedResult(key: string, bytes: Uint8Array): KeptResult | undefined {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (value.length < HEAD_BYTES || value[0] !== VERSION) return undefined
  if (!value.subarray(SUM_AT, HEAD_BYTES).equals(sumOf(key, value))) return undefined
  return { actionBytes: Number(value.readBigInt64LE(1)), encoded: value.subarray(HEAD_BYTES) }
}

function sumOf(key: string, value: Buffer): Buffer {
  const sum = createHash('sha256').update(key).update('\0')
  return sum.update(value.subarray(0, SUM_AT)).update(value.subarray(HEAD_BYTES)).digest()
}
