import { dirname, resolve as resolvePath } from 'node:path'
import { remoteMembers } from '../../store/remote/remote-members.ts'
import { REMOTE_OPTIONS } from '../remote-options.ts'
import { type Layer, type Origin, resolve } from '../settings.ts'

/** Which remote cache is meant, or which of several, on whose word, and what its user alone has said of it. */
export interface RemoteChoice {
  readonly address: string
  /** A checkout's word is enough for nothing: see `accessTo`. */
  readonly namedBy: 'user' | 'checkout'
  /** The flag, the variable, or the file and its key. */
  readonly place: string
  /** Absolute. */
  readonly tokenFile: string | undefined
  /** Absolute, or a name that PATH knows. */
  readonly helper: string | undefined
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** Nothing where none is named; an empty address is none, so that a variable can switch off what a config says. Throws `usage`. */
export function remoteChoices(layers: readonly Layer[], cwd: string): RemoteChoice[] {
  const said = resolve({ remote: REMOTE_OPTIONS.remote }, layers).get('remote')
  const addresses = said?.value
  if (said === undefined || typeof addresses !== 'string' || addresses === '') return []
  const own = layers.filter(({ origin }) => isTheUsers(origin))
  const text = (key: keyof typeof REMOTE_OPTIONS) => textIn(own, key, cwd)
  const shared = {
    namedBy: isTheUsers(said.origin) ? ('user' as const) : ('checkout' as const),
    place: said.places[0] ?? '',
    tokenFile: text('remoteTokenFile'),
    helper: text('remoteHelper'),
    ca: text('remoteCa'),
    cert: text('remoteCert'),
    key: text('remoteKey'),
  }
  return remoteMembers(addresses).map(({ address }) => ({ address, ...shared }))
}

/** Whatever else there will be: what is not known to be the user's word is the checkout's. */
export function isTheUsers(origin: Origin): boolean {
  return origin === 'flag' || origin === 'environment' || origin === 'user'
}

/** A file: from a flag or variable relative to where the person is, from a config to its folder. */
function textIn(layers: readonly Layer[], key: keyof typeof REMOTE_OPTIONS, cwd: string): string | undefined {
  const layer = layers.find(({ values }) => values.has(key))
  if (layer === undefined) return undefined
  const value = resolve({ [key]: REMOTE_OPTIONS[key] }, [layer]).get(key)?.value
  if (typeof value !== 'string' || value === '') return undefined
  const isOnPath = key === 'remoteHelper' && !/[/\\]/.test(value)
  return isOnPath ? value : resolvePath(layer.origin === 'user' ? dirname(layer.place) : cwd, value)
}
