import { canonicalJson } from './action/canonical-json.ts'
import type { FunctionOutcome, FunctionWork } from './action/run/run-function.ts'
import { parseDuration } from './units/duration.ts'

export interface MemoizeOptions {
  /** To be changed whenever the function is: the key cannot see what it does. */
  readonly version?: string
  /** How long a result is good: milliseconds, or as people write it (`7d`). For ever unless said. */
  readonly ttl?: number | string
  /** Variables of the environment that the function depends on. */
  readonly env?: readonly string[]
  /** Files that the function reads, beside its arguments. */
  readonly inputs?: readonly string[]
}

/** The function, remembered; its arguments and result are plain, serialisable values. */
export type Memoized<A extends readonly unknown[], R> = (...args: A) => Promise<R>

/**
 * A function whose results are kept by name and arguments. Calls with equal arguments that overlap are one call, in
 * this process by the same promise and between processes by a lease; what throws is not kept.
 */
export function memoized<A extends readonly unknown[], R>(
  name: string,
  fn: (...args: A) => Promise<R> | R,
  options: MemoizeOptions,
  run: (work: FunctionWork<R>) => Promise<FunctionOutcome<R>>,
): Memoized<A, R> {
  const { ttl, ...rest } = options
  const maxAgeMs = typeof ttl === 'string' ? parseDuration(ttl) : ttl
  const underWay = new Map<string, Promise<R>>()
  const start = async (args: A): Promise<R> => {
    const given = withoutTrailingUndefined(args)
    const work: FunctionWork<R> = { name, args: given, fn: () => fn(...args), ...rest }
    return (await run(maxAgeMs === undefined ? work : { ...work, maxAgeMs })).value
  }
  return async (...args) => {
    const key = canonicalJson(withoutTrailingUndefined(args))
    const shared = underWay.get(key)
    if (shared !== undefined) return shared
    const call = start(args).finally(() => underWay.delete(key))
    underWay.set(key, call)
    return call
  }
}

/** An argument left out and one that is undefined are the same to a function. */
function withoutTrailingUndefined(args: readonly unknown[]): readonly unknown[] {
  return args.slice(0, args.findLastIndex((argument) => argument !== undefined) + 1)
}
