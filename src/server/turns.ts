import { setImmediate } from 'node:timers/promises'

/**
 * A store that answers from its index does so without waiting, so that thousands of look-ups in a row would leave no other
 * request its turn. To be awaited after each; gives way after every so many.
 */
export function turnsEach(count: number): () => Promise<void> | undefined {
  let asked = 0
  return () => {
    asked++
    return asked % count === 0 ? setImmediate() : undefined
  }
}
