import { setTimeout as sleep } from 'node:timers/promises'
import { isCacheError } from '../../../errors.ts'

const MOST_TIMES = 5
/** Before it is asked again the first time, at most; then twice as long each time, any part of it by chance. */
const FIRST_MS = 50

/**
 * One of the many requests that a call is made of, asked again where the store says that it is asked too much: who asks for the whole call
 * again asks for more. `ask` has to be repeatable. Throws what it throws last, and the signal's reason.
 */
export async function againWhenBusy<T>(ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  for (let times = 1; ; times++) {
    try {
      return await ask()
    } catch (error) {
      if (times === MOST_TIMES || !isCacheError(error) || error.context.isBusy !== true) throw error
    }
    await sleep(Math.random() * FIRST_MS * 2 ** times, undefined, signal && { signal }).catch(() => undefined)
    signal?.throwIfAborted()
  }
}
