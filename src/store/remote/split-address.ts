/** An address of a server that speaks HTTP or gRPC, in its parts. */
export interface SplitAddress {
  /** As it was written, in lower case: `grpcs:`. */
  readonly scheme: keyof typeof SCHEMES | 'unix:'
  /** As HTTP reaches it, with no secret in it; for a Unix socket `http://localhost`. */
  readonly url: URL
  readonly socketPath?: string
  /** What stood in it as a password. */
  readonly token: string | undefined
}

const SCHEMES = { 'grpc:': 'http:', 'grpcs:': 'https:', 'http:': 'http:', 'https:': 'https:' } as const
const UNIX = 'unix:'

/** Undefined for what is none. */
export function splitAddress(text: string): SplitAddress | undefined {
  if (text.startsWith(UNIX) && text.length > UNIX.length)
    return { scheme: UNIX, url: new URL('http://localhost'), socketPath: text.slice(UNIX.length), token: undefined }
  const [, written = '', rest = ''] = /^([a-z]+:)\/\/(.+)$/i.exec(text) ?? []
  const scheme = written.toLowerCase() as keyof typeof SCHEMES
  if (!Object.hasOwn(SCHEMES, scheme)) return undefined
  const url = URL.parse(`${SCHEMES[scheme]}//${rest}`)
  if (url === null) return undefined
  const token = url.password === '' ? undefined : decoded(url.password)
  url.username = url.password = url.search = url.hash = ''
  return { scheme, url, token }
}

/** As it stands where somebody wrote a percent sign as it is. */
function decoded(password: string): string {
  try {
    return decodeURIComponent(password)
  } catch {
    return password
  }
}
