import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { WorkspaceRecords } from '../../store/contracts.ts'
import type { ProtocolRequest } from '../protocol.ts'

/** What a URL of ours lets its holder do, until then. */
export interface Grant {
  readonly may: 'read' | 'write'
  readonly instance: string
  /** To read: the entry. To write: the entry that the upload is for. */
  readonly entry: string
  /** Keeps the blocks of one upload apart from those of others; empty to read. */
  readonly upload: string
  readonly expiresMs: number
}

type Reached = Pick<ProtocolRequest, 'headers' | 'isEncrypted'>

export const BLOB_PREFIX = '/actions-cache'
const KEYS = 'url-key '
const KEY_BYTES = 32

/**
 * A URL that needs no token, since tools send none to where they were told to upload. Three segments, because Azure's SDK looks
 * for an account, a container and a blob in a path.
 */
export async function signedUrl(records: WorkspaceRecords, request: Reached, grant: Grant): Promise<string> {
  const payload = Buffer.from(JSON.stringify(grant)).toString('base64url')
  const sig = hmac(await signingKey(records), payload).toString('base64url')
  return `${originOf(request)}${BLOB_PREFIX}/${grant.may}/${payload}?sig=${sig}`
}

/** Undefined: it is not ours, was altered, or is over. */
export function grantIn(
  records: WorkspaceRecords,
  path: string,
  sig: string | null,
  nowMs: number = Date.now(),
): Grant | undefined {
  const [, may, payload] = /^(read|write)\/([\w-]+)$/.exec(path) ?? []
  if (payload === undefined || sig === null) return undefined
  const shown = Buffer.from(sig, 'base64url')
  const isSigned = (key: Uint8Array) => {
    const right = hmac(key, payload)
    return shown.length === right.length && timingSafeEqual(shown, right)
  }
  if (!keysOf(records).some(isSigned)) return undefined
  const grant = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Grant
  return grant.may === may && nowMs < grant.expiresMs ? grant : undefined
}

/**
 * Keys live in the store, so that each worker takes what another gave out, and as records, which no protocol gives out. Two
 * that make the first one at once are both taken, and the first by name signs.
 */
async function signingKey(records: WorkspaceRecords): Promise<Uint8Array> {
  const [known] = keysOf(records)
  if (known !== undefined) return known
  await records.save('actions-cache', `${KEYS}${randomBytes(8).toString('hex')}`, randomBytes(KEY_BYTES))
  const [made] = keysOf(records)
  if (made === undefined) throw new Error('the key that signs upload addresses was not kept')
  return made
}

function keysOf(records: WorkspaceRecords): Uint8Array[] {
  const names = records.names('actions-cache', KEYS)
  return names.flatMap((name) => records.load('actions-cache', name) ?? []).filter(({ length }) => length === KEY_BYTES)
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** As the client reached us, through what stands between. It is told its own words only, so lies harm nobody else. */
function originOf({ headers, isEncrypted }: Reached): string {
  const host = firstOf(headers['x-forwarded-host']) ?? headers.host ?? firstOf(headers[':authority']) ?? 'localhost'
  const scheme = firstOf(headers['x-forwarded-proto']) ?? (isEncrypted ? 'https' : 'http')
  return `${scheme === 'https' ? 'https' : 'http'}://${host}`
}

function firstOf(header: string | readonly string[] | undefined): string | undefined {
  return (typeof header === 'string' ? header : header?.[0])?.split(',', 1)[0]?.trim()
}
