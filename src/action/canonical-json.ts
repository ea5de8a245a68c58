import { CacheError } from '../errors.ts'

/**
 * One text for one value: members in the order of their names, absent and undefined members left out. Throws `usage` for
 * what JSON would lose or change in silence (functions, Maps, dates, NaN, cycles): two different values must not be
 * one key.
 */
export function canonicalJson(value: unknown): string {
  return write(value, [], '')
}

function write(value: unknown, around: readonly unknown[], path: string): string {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value)
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value)
  if (typeof value !== 'object' || around.includes(value)) throw notSerialisable(value, path)
  const within = [...around, value]
  if (Array.isArray(value)) return `[${value.map((item, i) => write(item, within, `${path}[${i}]`)).join(',')}]`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw notSerialisable(value, path)
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${write(member, within, `${path}.${name}`)}`)
  return `{${members.join(',')}}`
}

function notSerialisable(value: unknown, path: string): CacheError {
  const what = typeof value === 'object' ? (value?.constructor?.name ?? 'object') : String(value)
  return new CacheError('usage', `An argument cannot be part of a key: ${what}${path === '' ? '' : ` at ${path}`}.`, {
    hint: 'Use plain objects, arrays, strings, finite numbers, booleans and null.',
  })
}
