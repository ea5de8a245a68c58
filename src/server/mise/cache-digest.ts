/** A digest as mise writes it: what the hash is made by is part of the name. */
export interface CacheDigest {
  readonly algorithm: 'blake3' | 'sha256'
  /** 64 lower-case hex digits. */
  readonly hash: string
  readonly size: number
}

const HASH = /^[0-9a-f]{64}$/
const SIZE = /^(0|[1-9]\d{0,15})$/

/** Of `{algorithm}/{hash}/{size}`, as in addresses. */
export function digestInPath(path: string): CacheDigest | undefined {
  const [algorithm = '', hash = '', size = '', ...more] = path.split('/')
  if (more.length > 0 || !SIZE.test(size)) return undefined
  return checked(algorithm, hash, Number(size))
}

/** Of `{ algorithm, hash, size }`, and nothing more. */
export function digestInJson(json: unknown): CacheDigest | undefined {
  if (typeof json !== 'object' || json === null || Object.keys(json).length !== 3) return undefined
  const { algorithm, hash, size } = json as Readonly<Record<string, unknown>>
  return typeof hash === 'string' && typeof size === 'number' ? checked(algorithm, hash, size) : undefined
}

export function pathOf({ algorithm, hash, size }: CacheDigest): string {
  return `${algorithm}/${hash}/${size}`
}

export function sameCacheDigest(a: CacheDigest, b: CacheDigest): boolean {
  return pathOf(a) === pathOf(b)
}

function checked(algorithm: unknown, hash: string, size: number): CacheDigest | undefined {
  if ((algorithm !== 'blake3' && algorithm !== 'sha256') || !HASH.test(hash)) return undefined
  return Number.isSafeInteger(size) && size >= 0 ? { algorithm, hash, size } : undefined
}
