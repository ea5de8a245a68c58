/**
 * Where the cache is unless someone says otherwise: `RECUE_CACHE_DIR`; else `recue` in `XDG_CACHE_HOME`; else where the
 * platform keeps caches. May be relative only if `RECUE_CACHE_DIR` is. `XDG_CACHE_HOME` must be absolute to count, as its
 * specification demands.
 */
export function defaultCacheDir(env: Readonly<Record<string, string | undefined>>, platform: string): string {
  const own = env.RECUE_CACHE_DIR
  if (own !== undefined && own !== '') return own
  const xdg = env.XDG_CACHE_HOME
  if (xdg?.startsWith('/')) return `${xdg}/recue`
  if (platform === 'win32') {
    const local = env.LOCALAPPDATA ?? `${env.USERPROFILE ?? 'C:'}\\AppData\\Local`
    return `${local}\\recue\\cache`
  }
  const home = env.HOME ?? ''
  return platform === 'darwin' ? `${home}/Library/Caches/recue` : `${home}/.cache/recue`
}
