import { createHash } from 'node:crypto'
import { type ActionDigest, UNKNOWN_BYTES } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'

/**
 * An action result as an object: `recueAR1`, the size of the action (8 bytes, little endian; -1 unknown), SHA-256 over that size, the name of the
 * object's action and what follows (32 bytes), the result as REAPI encodes it. So an object that was damaged, or lies under another's name, is
 * told from a result, whose content no name vouches for.
 */
export function actionObject(scope: Scope, action: ActionDigest, encoded: Uint8Array): Buffer {
  const size = Buffer.alloc(SIZE_BYTES)
  size.writeBigInt64LE(BigInt(action.sizeBytes))
  return Buffer.concat([MAGIC, size, sealOf(scope, action, size, encoded), encoded])
}

export type FoundAction =
  | { readonly kind: 'result'; readonly encoded: Uint8Array }
  | { readonly kind: 'other-size' }
  | { readonly kind: 'damaged' }

/** `other-size`: it is of another action with this hash, which cannot be for whoever knows both. */
export function readActionObject(scope: Scope, action: ActionDigest, object: Uint8Array): FoundAction {
  const bytes = Buffer.from(object.buffer, object.byteOffset, object.byteLength)
  const [size, seal, encoded] = [
    bytes.subarray(MAGIC.length, SEAL_AT),
    bytes.subarray(SEAL_AT, RESULT_AT),
    bytes.subarray(RESULT_AT),
  ]
  const isWhole =
    bytes.length >= RESULT_AT &&
    bytes.subarray(0, MAGIC.length).equals(MAGIC) &&
    sealOf(scope, action, size, encoded).equals(seal)
  if (!isWhole) return { kind: 'damaged' }
  const isIts = action.sizeBytes === UNKNOWN_BYTES || size.readBigInt64LE() === BigInt(action.sizeBytes)
  return isIts ? { kind: 'result', encoded } : { kind: 'other-size' }
}

const MAGIC = Buffer.from('recueAR1')
const SIZE_BYTES = 8
const SEAL_AT = MAGIC.length + SIZE_BYTES
const RESULT_AT = SEAL_AT + 32

function sealOf({ instance }: Scope, { hash }: ActionDigest, size: Uint8Array, encoded: Uint8Array): Buffer {
  return createHash('sha256').update(`${hash}/${instance}\0`).update(size).update(encoded).digest()
}
