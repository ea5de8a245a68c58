import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { CacheError, systemCode } from '../../errors.ts'

export interface LegacySignature {
  readonly signature: string
  /** 16 hex digits. */
  readonly nonce: string
  /** Unix seconds. */
  readonly timestamp: number
}

const KEY_BYTES = 32
const LONGEST_AGE_SECONDS = 604_800

/** The key in `.signing_key`, made at its first use. Throws `store.corrupt` for one of another length. */
export function legacySigningKey(file: string): Buffer {
  const key = readOrMake(file)
  if (key.length === KEY_BYTES) return key
  throw new CacheError('store.corrupt', `${file} has ${key.length} bytes; a signing key has ${KEY_BYTES}.`)
}

function readOrMake(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    const key = randomBytes(KEY_BYTES)
    writeFileSync(file, key, { mode: 0o600 })
    return key
  }
}

/** HMAC-SHA-256 (RFC 2104) over the data's compact JSON, the nonce's digits and the time. */
export function signLegacy(
  key: Buffer,
  data: string,
  timestamp: number,
  nonce: string = randomBytes(8).toString('hex'),
): LegacySignature {
  return { signature: hmac(key, data, nonce, timestamp).toString('hex'), nonce, timestamp }
}

/** Also false after seven days; a time to come is accepted. */
export function isSignedLegacy(key: Buffer, data: string, signed: LegacySignature, nowSeconds: number): boolean {
  if (nowSeconds - signed.timestamp > LONGEST_AGE_SECONDS) return false
  const said = Buffer.from(signed.signature, 'hex')
  return said.length === KEY_BYTES && timingSafeEqual(said, hmac(key, data, signed.nonce, signed.timestamp))
}

function hmac(key: Buffer, data: string, nonce: string, timestamp: number): Buffer {
  const time = Buffer.alloc(8)
  time.writeBigUInt64LE(BigInt(timestamp))
  return createHmac('sha256', key).update(data).update(nonce).update(time).digest()
}
