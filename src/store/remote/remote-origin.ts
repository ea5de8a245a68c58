import { parseRemote } from './remote-address.ts'

/**
 * What credentials are bound to: scheme, host and port, each address of one server and protocol written alike; of a socket, its
 * path. Throws `usage` for what is no address.
 */
export function originOf(address: string): string {
  const { protocol, url, socketPath } = parseRemote(address)
  if (socketPath !== undefined) return `unix:${socketPath}`
  const isSecure = url.protocol === 'https:'
  const scheme = protocol === 'reapi' ? (isSecure ? 'grpcs' : 'grpc') : isSecure ? 'https' : 'http'
  const host = url.hostname.replace(/\.$/, '')
  return `${scheme}://${host}:${url.port === '' ? (isSecure ? 443 : 80) : url.port}`
}

/** Whether the address brings a name or a password of its own. */
export function hasUserInfo(address: string): boolean {
  return /^[a-z]+:\/\/[^/?#]*@/i.test(address)
}
