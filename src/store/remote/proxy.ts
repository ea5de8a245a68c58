import type { RemoteAccess } from './remote-address.ts'
import { destinationOf } from './remote-origin.ts'
import type { RemoteServer } from './remote-server.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy that the environment names for a server, as curl takes it: `HTTPS_PROXY` or `HTTP_PROXY` by what is spoken to the
 * server, else `ALL_PROXY`, in small letters first; none for what `NO_PROXY` lists. Undefined for what cannot be read as one.
 */
export function proxyFor(
  { url, socketPath }: Pick<RemoteServer, 'url' | 'socketPath'>,
  environment: Environment,
): URL | undefined {
  if (socketPath !== undefined || isExempt(url, said(environment, 'no_proxy'))) return undefined
  const text =
    said(environment, url.protocol === 'https:' ? 'https_proxy' : 'http_proxy') || said(environment, 'all_proxy')
  if (text === '') return undefined
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const proxy = URL.canParse(whole) ? new URL(whole) : undefined
  return proxy?.protocol === 'http:' || proxy?.protocol === 'https:' ? proxy : undefined
}

function said(environment: Environment, name: string): string {
  return (environment[name] || environment[name.toUpperCase()] || '').trim()
}

/** Names cover what is below them; `host:port` one port alone; `*` everything. This machine needs no proxy to itself. */
function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  if (host === 'localhost' || host === '::1' || /^127\./.test(host)) return true
  return list.split(/[\s,]+/).some((item) => {
    if (item === '*') return true
    const [, name = '', onlyPort] = /^\*?\.?\[?(.*?)\]?(?::(\d+))?$/.exec(item.toLowerCase()) ?? []
    if (name === '' || (onlyPort !== undefined && onlyPort !== port)) return false
    return host === name || host.endsWith(`.${name}`)
  })
}

/** The same access by way of the proxy that the environment names, unless one is given. */
export function withProxy(address: string, access: RemoteAccess, environment: Environment): RemoteAccess {
  if (access.proxy !== undefined || !/^(grpcs?|https?|s3):/i.test(address)) return access
  const proxy = proxyFor(destinationOf(address), environment)
  return proxy === undefined ? access : { ...access, proxy }
}
