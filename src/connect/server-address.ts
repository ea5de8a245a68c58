import type { RequestOptions } from 'node:https'
import { CacheError } from '../errors.ts'
import { shownAddress } from '../store/remote/shown-address.ts'
import { splitAddress } from '../store/remote/split-address.ts'

/** A recue somewhere, and what is shown to it. */
export interface ServerAddress {
  /** As a client reaches it: scheme, host, port and the path that stands before all others, without a slash at its end. */
  readonly url: URL
  /** Set where it listens on a Unix socket; `url` is then `http://localhost`. */
  readonly socketPath?: string
  readonly token?: string
  /** Keeps results apart: the first segment of every path. Empty for none. */
  readonly instance: string
  readonly tls: TlsFiles
}

/** PEM texts: whom to trust instead of the system's own, and what to show to a server that asks who calls. */
export interface TlsFiles {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

const INSTANCE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
const HINT = 'Write it as http://HOST:8377, https://HOST, grpc://HOST:8377, grpcs://HOST or unix:/run/recue.sock.'
/** Throws `usage`. A token in the address (`http://any:TOKEN@HOST`) is taken where none is given. */
export function parseServerAddress(
  text: string,
  {
    token,
    instance = '',
    tls = {},
  }: { readonly token?: string; readonly instance?: string; readonly tls?: TlsFiles } = {},
): ServerAddress {
  if (instance !== '' && !INSTANCE.test(instance))
    throw new CacheError('usage', `--instance: "${instance}" is no name of an instance.`, {
      hint: 'Letters, digits, dots, dashes and underscores; a letter or a digit first.',
    })
  const address = splitAddress(text)
  if (address === undefined)
    throw new CacheError('usage', `--server: "${shownAddress(text)}" is no address of a server.`, { hint: HINT })
  const { url, socketPath, token: ownToken } = address
  url.pathname = url.pathname.replace(/\/+$/, '')
  const shown = token ?? ownToken
  return {
    url,
    instance,
    tls,
    ...(socketPath !== undefined && { socketPath }),
    ...(shown !== undefined && { token: shown }),
  }
}

/** For messages: where it is, without a secret. */
export function placeOf({ url, socketPath }: ServerAddress): string {
  return socketPath === undefined ? `${url.protocol}//${url.host}${pathOf(url)}` : `unix:${socketPath}`
}

/** What stands before every path: the server's own prefix, and the instance. */
export function prefixOf({ url, instance }: ServerAddress, ownInstance: string = instance): string {
  return `${pathOf(url)}${ownInstance === '' ? '' : `/${ownInstance}`}`
}

/** `URL` gives an empty path back as a slash. */
function pathOf(url: URL): string {
  return url.pathname === '/' ? '' : url.pathname
}

/** As a header `Authorization`. */
export function authorizationOf({ token }: ServerAddress): Readonly<Record<string, string>> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

export function isTls({ url }: ServerAddress): boolean {
  return url.protocol === 'https:'
}

/** For `node:http` and `node:https`; the caller names path, method and headers. */
export function requestOptionsOf(address: ServerAddress): RequestOptions {
  const { url, socketPath, tls } = address
  if (socketPath !== undefined) return { socketPath }
  const { hostname, port } = url
  return { hostname: hostname.replace(/^\[|\]$/g, ''), ...(port !== '' && { port }), ...(isTls(address) && tls) }
}
