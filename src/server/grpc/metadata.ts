import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import { Status } from '../../proto/google/rpc/status.ts'

/** In what clients may send their messages. Answers are never compressed: blobs that gain by it have zstd of their own. */
const ACCEPTED_ENCODINGS = 'identity,gzip'
const MOST_TIMEOUT_MS = 2 ** 31 - 1
const MS_IN: Readonly<Record<string, number>> = { n: 1e-6, u: 1e-3, m: 1, S: 1000, M: 60_000, H: 3_600_000 }

/** The trailers that end a call. */
export function trailersOf({ code, message, details }: GrpcStatus): OutgoingHttpHeaders {
  const trailers: OutgoingHttpHeaders = { 'grpc-status': String(code) }
  if (message !== '') trailers['grpc-message'] = percentEncoded(message)
  if (code === GrpcCode.UNIMPLEMENTED) trailers['grpc-accept-encoding'] = ACCEPTED_ENCODINGS
  if (details.length > 0) {
    const status = Status.encode({ code, message, details: [...details] }).finish()
    trailers['grpc-status-details-bin'] = Buffer.from(status).toString('base64').replace(/=+$/, '')
  }
  return trailers
}

/** `application/grpc`, with `+proto` or with parameters; messages in JSON are another thing. */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(\+proto)?[ \t]*(;|$)/i.test(contentType)
}

/** Milliseconds; undefined where no deadline is set. Throws GrpcStatus. */
export function timeoutMsOf(headers: IncomingHttpHeaders): number | undefined {
  const value = headers['grpc-timeout']
  if (value === undefined) return undefined
  const [, amount, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(value)) ?? []
  if (amount === undefined) throw new GrpcStatus(GrpcCode.INTERNAL, 'grpc-timeout is malformed.')
  return Math.min(Math.ceil(Number(amount) * (MS_IN[unit] as number)), MOST_TIMEOUT_MS)
}

/** How messages with the flag are compressed. Throws GrpcStatus for what is not known. */
export function encodingOf(headers: IncomingHttpHeaders): 'identity' | 'gzip' {
  const value = headers['grpc-encoding'] ?? 'identity'
  if (value === 'identity' || value === 'gzip') return value
  throw new GrpcStatus(GrpcCode.UNIMPLEMENTED, `Messages in the encoding ${String(value)} cannot be read.`)
}

/** As gRPC writes `grpc-message`: printable ASCII stays, `%` and all other bytes of its UTF-8 are escaped. */
export function percentEncoded(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message
  let encoded = ''
  for (const byte of Buffer.from(message))
    encoded += byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : escaped(byte)
  return encoded
}

function escaped(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}
