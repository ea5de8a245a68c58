import { CacheError } from '../errors.ts'
import type { ListenAddress } from '../server/listen/address.ts'

const TCP = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d{1,5})$/

/** `PORT`, `HOST:PORT`, `[IPv6]:PORT` (an empty host is every address) or `unix:PATH`. Throws `usage`. */
export function parseListenAddress(text: string, flag: string): ListenAddress {
  if (text.startsWith('unix:') && text.length > 'unix:'.length)
    return { kind: 'unix', path: text.slice('unix:'.length) }
  const [, ipv6, host, digits] = TCP.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535)
    throw new CacheError('usage', `${flag}: "${text}" is no address.`, {
      hint: 'Write it as 8377, 127.0.0.1:8377, [::1]:8377 or unix:/run/recue.sock; port 0 is any that is free.',
    })
  return { kind: 'tcp', host: ipv6 ?? (host === undefined ? '127.0.0.1' : host || '::'), port }
}

/** Whether only this machine can reach it. */
export function isLocal(address: ListenAddress): boolean {
  return address.kind === 'unix' || /^(127\.|::1$|localhost$)/.test(address.host)
}
