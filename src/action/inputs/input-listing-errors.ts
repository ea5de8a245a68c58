import { CacheError, systemCode } from '../../errors.ts'

/** Names the path that could not be read, for a person. */
export function unreadable(path: string, cause: unknown): CacheError {
  const code = systemCode(cause)
  const why = code === 'EACCES' || code === 'EPERM' ? 'permission is denied' : (code ?? String(cause))
  return new CacheError('input.unreadable', `The input ${shown(path)} cannot be read: ${why}.`, {
    hint: 'Make it readable, or take it out of the inputs with a pattern that begins with !.',
    cause,
    context: { path },
  })
}

/** Quoted only where it would be misread: a name may hold spaces, quotes and newlines. */
export function shown(path: string): string {
  return /^[\w./@+,:*?!{}[\]()-]+$/.test(path) ? path : JSON.stringify(path)
}
