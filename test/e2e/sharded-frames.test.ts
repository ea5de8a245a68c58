import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { framesContract } from '../../src/store/frames.contract.ts'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { sharded } from '../../src/store/sharded/sharded.ts'

framesContract('sharded', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'recue-sharded-'))
  const ends = [0, 1, 2].map(async (i) => {
    return { name: `${i}`, weight: 1, end: await openLocalStore({ dir: join(dir, `${i}`) }) }
  })
  const all = sharded(await Promise.all(ends))
  return {
    ...{ blobs: all.blobs, frames: all.frames as NonNullable<typeof all.frames> },
    async [Symbol.asyncDispose]() {
      await all[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true, force: true })
    },
  }
})
