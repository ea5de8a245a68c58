/** What of the cache may be read and written. */
export interface CacheMode {
  readonly read: boolean
  readonly write: boolean
  /** Never more than here: what is not kept here cannot be sent, and who does not look here does not look there. */
  readonly remote: { readonly read: boolean; readonly write: boolean }
}

/** `local:rw`, `local:r,remote:off`, …; or `off`. A part that is not named is `rw`. */
export const CACHE_MODE: RegExp = /^(off|local:(rw|r|w)(,remote:(rw|r|w|off))?|remote:(rw|r|w|off))$/

/** A text that {@link CACHE_MODE} is. */
export function cacheModeOf(text: string): CacheMode {
  const modeOf = (part: string) => {
    if (text === 'off') return ''
    const at = text.indexOf(`${part}:`)
    return at === -1 ? 'rw' : (text.slice(at + part.length + 1).split(',')[0] as string)
  }
  const local = modeOf('local')
  const remote = modeOf('remote')
  const [read, write] = [local.includes('r'), local.includes('w')]
  return {
    ...{ read, write },
    remote: { read: read && remote.includes('r'), write: write && remote.includes('w') },
  }
}
