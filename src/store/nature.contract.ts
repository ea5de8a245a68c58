import { test } from 'vitest'

/** What an end cannot do by its nature, by the name of the test that would ask for it, and why. */
export type Unable = Readonly<Record<string, string>>

type Run = () => Promise<void>

interface AbleTo {
  (name: string, run: Run): void
  each<T>(rows: readonly T[]): (name: string, run: (row: T) => Promise<void>) => void
}

/** The `it` of a contract's suite: what the end is unable to is skipped, and the reason said. */
export function ableTo(unable: Unable): AbleTo {
  const skipped = (name: string): boolean => {
    const why = unable[name]
    if (why !== undefined) test(name, ({ skip }) => skip(why))
    return why !== undefined
  }
  const it = (name: string, run: Run) => {
    if (!skipped(name)) test(name, run)
  }
  const each =
    <T>(rows: readonly T[]) =>
    (name: string, run: (row: T) => Promise<void>) => {
      if (!skipped(name)) test.for(rows)(name, (row) => run(row as T))
    }
  return Object.assign(it, { each })
}
