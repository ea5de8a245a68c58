import { it } from 'vitest'

/** What an end cannot do by its nature, by the name of the test that would ask for it, and why. */
export type Unable = Readonly<Record<string, string>>

/** `it` of a contract's suite: what the end is unable to is skipped, and the reason is in the name. */
export function ableTo(unable: Unable): typeof it {
  return ((name: string, test: () => Promise<void>) => {
    const why = unable[name]
    if (why === undefined) return it(name, test)
    return it.skip(`${name}: ${why}`, test)
  }) as typeof it
}
