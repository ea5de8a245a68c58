import { readFileSync } from 'node:fs'
import { parseServerAddress, type ServerAddress, type TlsFiles } from '../../connect/server-address.ts'
import { CacheError, systemCode } from '../../errors.ts'
import type { CcacheLayout } from './ccache-storage.ts'

/** What ccache tells a storage helper by its environment. */
export interface HelperSettings {
  readonly endpoint: string
  readonly idleMs: number
  readonly layout: CcacheLayout
  readonly instance: string
  /** Undefined: the store of this machine. */
  readonly server: ServerAddress | undefined
}

const PORT = '8377'
const LAYOUTS: readonly string[] = ['subdirs', 'flat', 'bazel'] satisfies readonly CcacheLayout[]

/** Undefined where it is not ccache that started this process. Throws `usage` for what is not understood. */
export function helperSettings(environment: Readonly<Record<string, string | undefined>>): HelperSettings | undefined {
  const { CRSH_IPC_ENDPOINT: endpoint, CRSH_URL: url = '', CRSH_IDLE_TIMEOUT: idleSeconds = '0' } = environment
  if (endpoint === undefined || endpoint === '') return undefined
  const attributes = attributesIn(environment)
  const layout = attributes.get('layout') ?? 'subdirs'
  if (!LAYOUTS.includes(layout)) throw misunderstood(`@layout=${layout} is none of ${LAYOUTS.join(', ')}`)
  const idleMs = Number(idleSeconds) * 1000
  const { server, instance } = placeIn(url, attributes, environment)
  return {
    ...{ endpoint, idleMs: Number.isFinite(idleMs) ? idleMs : 0, layout: layout as CcacheLayout },
    ...{ instance, server },
  }
}

function attributesIn(environment: Readonly<Record<string, string | undefined>>): Map<string, string> {
  const count = Number(environment.CRSH_NUM_ATTR ?? '0')
  return new Map(
    Array.from({ length: count }, (_, i) => [
      environment[`CRSH_ATTR_KEY_${i}`] ?? '',
      environment[`CRSH_ATTR_VALUE_${i}`] ?? '',
    ]),
  )
}

/**
 * `recue://HOST[:PORT][/INSTANCE]` is a server, `recue:///run/recue.sock` one that listens on a Unix socket, `recue:///` the store
 * of this machine. `http://HOST:PORT[/INSTANCE]/ccache`, as ccache's own client has it, is the same server.
 */
function placeIn(
  url: string,
  attributes: ReadonlyMap<string, string>,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly server: ServerAddress | undefined; readonly instance: string } {
  const [, scheme = '', authority = '', path = ''] = /^([a-z+]+):(?:\/\/([^/]*))?(\/.*)?$/.exec(url) ?? []
  const token = tokenIn(attributes, environment)
  const instanceOf = (text: string) => attributes.get('instance') ?? text.replace(/^\/+|\/+$/g, '')
  const shown = { tls: tlsIn(attributes, environment), ...(token !== undefined && { token }) }
  if (scheme === 'recue' && authority === '') {
    const instance = attributes.get('instance') ?? ''
    if (path.replace(/\/+/g, '') === '') return { server: undefined, instance }
    return { server: parseServerAddress(`unix:${path}`, { ...shown, instance }), instance }
  }
  const isOther = (scheme === 'http' || scheme === 'https') && /\/ccache\/*$/.test(path)
  if (authority === '' || (scheme !== 'recue' && !isOther))
    throw misunderstood('The URL is not recue://HOST[:PORT][/INSTANCE], recue:///run/recue.sock or recue:///')
  const web = scheme === 'https' || attributes.get('tls') === 'true' ? 'https' : 'http'
  const place = scheme !== 'recue' || /:\d+$/.test(authority) || web === 'https' ? authority : `${authority}:${PORT}`
  const instance = instanceOf(isOther ? path.replace(/\/ccache\/*$/, '') : path)
  return { server: parseServerAddress(`${web}://${place}`, { ...shown, instance }), instance }
}

function tokenIn(
  attributes: ReadonlyMap<string, string>,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const file = attributes.get('token-file') ?? environment.RECUE_TOKEN_FILE
  const said = attributes.get('bearer-token')
  if (said !== undefined || !file) return said ?? (environment.RECUE_TOKEN || undefined)
  return textOf(file, 'token-file').trim()
}

/** By the attributes and variables that other commands have as options. */
function tlsIn(
  attributes: ReadonlyMap<string, string>,
  environment: Readonly<Record<string, string | undefined>>,
): TlsFiles {
  const given = (name: string, variable: string) => attributes.get(name) || environment[variable]
  const ca = given('ca', 'RECUE_CA')
  const cert = given('cert', 'RECUE_CERT')
  const key = given('cert-key', 'RECUE_CERT_KEY')
  return {
    ...(ca && { ca: textOf(ca, 'ca') }),
    ...(cert && { cert: textOf(cert, 'cert') }),
    ...(key && { key: textOf(key, 'cert-key') }),
  }
}

function textOf(file: string, name: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw misunderstood(`@${name}=${file} cannot be read (${systemCode(cause) ?? cause})`, cause)
  }
}

function misunderstood(what: string, cause?: unknown): CacheError {
  return new CacheError('usage', `ccache's remote storage: ${what}.`, {
    hint: 'See docs/protocols.md.',
    ...(cause !== undefined && { cause }),
  })
}
