import type { Protocol } from './protocol.ts'

export interface Route {
  readonly protocol: Protocol
  /** From the path's first segment, where that is none of a protocol's; else empty. */
  readonly instance: string
  /** Behind the prefix, decoded, without a leading slash. */
  readonly rest: string
}

const INSTANCE = /^\/([A-Za-z0-9][A-Za-z0-9._-]{0,99})(\/.*)$/
const MOST_PATH = 2_000

/** Finds whose a path is: `/v8/artifacts/abc`, or `/team/v8/artifacts/abc` of the instance `team`. Undefined: nobody's. */
export function routeOf(protocols: readonly Protocol[], pathname: string): Route | undefined {
  if (pathname.length > MOST_PATH) return undefined
  const direct = within(protocols, pathname, '')
  if (direct !== undefined) return direct
  const [, instance, below] = INSTANCE.exec(pathname) ?? []
  return instance === undefined || below === undefined ? undefined : within(protocols, below, instance)
}

function within(protocols: readonly Protocol[], path: string, instance: string): Route | undefined {
  for (const protocol of protocols) {
    const { prefix } = protocol
    if (path !== prefix && !path.startsWith(`${prefix}/`)) continue
    const rest = decoded(path.slice(prefix.length + 1))
    return rest === undefined ? undefined : { protocol, instance, rest }
  }
  return undefined
}

/** Keys are names in a table and never of files, so only what no text may hold is refused. */
function decoded(path: string): string | undefined {
  try {
    const text = decodeURIComponent(path)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    return /[\u0000-\u001f\u007f]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}
