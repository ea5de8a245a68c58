import { CacheError, isCacheError, systemCode } from '../../errors.ts'
import type { RemoteServer } from './remote-server.ts'

export type Protocol = 'gRPC' | 'HTTP' | 'Redis'

/** What a network, a wrong address or a certificate did, in a person's words. A CacheError is given back as it is. */
export function connectionFault(server: RemoteServer, protocol: Protocol, error: unknown): CacheError {
  if (isCacheError(error)) return error
  const code = systemCode(error) ?? (error instanceof Error ? error.message : String(error))
  const { place } = server
  const context = { server: place, cause: code }
  if (NOT_TLS.test(code))
    return new CacheError('remote.incompatible', `${place} does not speak TLS.`, {
      hint: `Write ${PLAIN_SCHEME[protocol]}:// in its address.`,
      ...{ context, cause: error },
    })
  if (NOT_PROTOCOL.test(code)) return notSpoken(server, protocol, code, error)
  if (UNREACHABLE.test(code) || server.url.protocol !== 'https:')
    return new CacheError('remote.unreachable', `${place} cannot be reached, or broke off (${code}).`, {
      hint: hintFor(code),
      ...{ context, cause: error },
    })
  return new CacheError('remote.tls', `${place}: its certificate is not trusted, or ours is not (${code}).`, {
    hint: tlsHint(code),
    ...{ context, cause: error },
  })
}

/** Something answers, and it is no server of that protocol. */
export function notSpoken(server: RemoteServer, protocol: Protocol, what: string, cause?: unknown): CacheError {
  return new CacheError('remote.incompatible', `${server.place} does not answer ${protocol} (${what}).`, {
    hint:
      protocol === 'gRPC'
        ? 'Is that its port for gRPC, with TLS or without? A proxy before it has to pass on HTTP/2.'
        : `Is that its port for ${protocol}, with TLS or without${protocol === 'HTTP' ? ', and the right path' : ''}?`,
    context: { server: server.place },
    ...(cause !== undefined && { cause }),
  })
}

export function timedOut({ place }: RemoteServer, ms: number): CacheError {
  return new CacheError('remote.timed-out', `${place} did not answer within ${ms / 1000} s.`, {
    hint: 'Does it still run, and does a firewall swallow what goes there?',
    context: { server: place, ms },
  })
}

/** `what` is not what its digest says: nothing of it was handed out. */
export function otherBytes({ place }: RemoteServer, hash: string, what: string): CacheError {
  return new CacheError('store.corrupt', `${place} gave ${what} for blob ${hash}; it was not used.`, {
    hint: 'Its disk may be damaged, or something on the way changes what it sends.',
    context: { server: place, hash },
  })
}

/** The same of what somebody else found to be wrong; other faults are given back as they are. */
export function otherThan(server: RemoteServer, hash: string, error: unknown): unknown {
  const isSo = isCacheError(error) && error.code === 'store.corrupt'
  return isSo ? otherBytes(server, hash, 'other bytes') : error
}

const PLAIN_SCHEME = { gRPC: 'grpc', HTTP: 'http', Redis: 'redis' } as const
const NOT_TLS = /WRONG_VERSION_NUMBER|ERR_SSL_PACKET|^EPROTO$/
const NOT_PROTOCOL = /^ERR_HTTP2_(ERROR|SESSION_ERROR)$|^NGHTTP2_|^HPE_|Parse Error|Protocol error|Malformed/i
const UNREACHABLE =
  /^(ECONN|EHOST|ENET|ENOTFOUND|ENOENT|EAI_|ETIMEDOUT|EPIPE|EADDR|ERR_STREAM_|ERR_HTTP2_|aborted|socket hang up)/

function hintFor(code: string): string {
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    return 'Nothing listens there: is the server up, and the address right?'
  return /ENOTFOUND|EAI_/.test(code) ? 'That name is not known here.' : 'Is this its address, and is there a network?'
}

function tlsHint(code: string): string {
  if (/ALTNAME/.test(code)) return 'Its certificate is for another name: use that name.'
  if (/EXPIRED/.test(code)) return 'A certificate has expired.'
  return /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|ALERT/.test(code)
    ? 'It asks for a certificate of ours, or another than the one shown.'
    : 'Name the authority that signed it: --remote-ca FILE.'
}
