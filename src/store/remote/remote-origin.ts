import { parseRedis } from './redis/redis-address.ts'
import { parseRemote } from './remote-address.ts'
import type { RemoteServer } from './remote-server.ts'
import { parseS3 } from './s3/s3-address.ts'

/**
 * What credentials are bound to: scheme, host and port, each address of one server and protocol written alike; of a socket, its
 * path; of a bucket, the bucket at its store. Throws `usage` for what is no address.
 */
export function originOf(address: string): string {
  if (isBucket(address)) return `s3:${parseS3(address).url.href.replace(/\/+$/, '')}`
  if (isRedis(address)) {
    const { url, socketPath, port } = parseRedis(address)
    if (socketPath !== undefined) return `unix:${socketPath}`
    return `${url.protocol === 'https:' ? 'rediss' : 'redis'}://${hostOf(url)}:${port}`
  }
  const { protocol, url, socketPath } = parseRemote(address)
  if (socketPath !== undefined) return `unix:${socketPath}`
  const isSecure = url.protocol === 'https:'
  const scheme = protocol === 'reapi' ? (isSecure ? 'grpcs' : 'grpc') : isSecure ? 'https' : 'http'
  return `${scheme}://${hostOf(url)}:${url.port === '' ? (isSecure ? 443 : 80) : url.port}`
}

/** Where an address of any kind leads, without what is shown there. Throws `usage` for what is none. */
export function destinationOf(address: string): Pick<RemoteServer, 'url' | 'socketPath' | 'place'> {
  if (isBucket(address)) return parseS3(address)
  return isRedis(address) ? parseRedis(address) : parseRemote(address)
}

/** Whether the address brings a name or a password of its own. */
export function hasUserInfo(address: string): boolean {
  return /^[a-z0-9+]+:\/\/[^/?#]*@/i.test(address)
}

export function isBucket(address: string): boolean {
  return /^s3:/i.test(address)
}

export function isRedis(address: string): boolean {
  return /^(redis|valkey)(s?:\/\/|\+unix:)/i.test(address)
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, '')
}
