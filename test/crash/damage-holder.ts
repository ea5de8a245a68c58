/** Has the store open that it is told of while somebody damages it, and then reads all of it. */
import { once } from 'node:events'
import { openCache } from '../../src/cache.ts'
import { readOpen } from './damaged-store.ts'

for (;;) {
  const [dir] = (await once(process, 'message')) as [string]
  const answer = await whileDamaged(dir).catch((error: unknown) => (error instanceof Error ? error.stack : 'threw'))
  process.send?.(answer ?? 'fine')
}

/** What went wrong. */
async function whileDamaged(dir: string): Promise<undefined> {
  await using cache = await openCache({ cacheDir: dir })
  // So that pages of the index are in memory, and its log is in use.
  await readOpen(cache)
  process.send?.('open')
  await once(process, 'message')
  await readOpen(cache)
}
