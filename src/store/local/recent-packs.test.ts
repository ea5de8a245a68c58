import { writeFileSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { DEFAULT_SCOPE } from '../contracts.ts'
import { readWhole } from '../read-whole.ts'
import { layoutOf, segmentPath } from './layout.ts'
import { openLocalStore } from './local-store.ts'
import { temporaryFolder } from './temporary-store.fixture.ts'

const contents = Array.from({ length: 20 }, (_, i) => Buffer.alloc(2000, `content ${i} `))

async function keptTogether(dir: string): Promise<void> {
  await using store = await openLocalStore({ dir })
  await Promise.all(contents.map((bytes) => store.blobs.write(DEFAULT_SCOPE, digestOf(bytes), bytes)))
}

it.each([true, false])(
  'when a pack was opened for one blob, its neighbours come from memory: %s',
  async (remembersPacks) => {
    const dir = temporaryFolder(onTestFinished)
    await keptTogether(dir)
    await using store = await openLocalStore({ dir, remembersPacks })
    const read = (bytes: Buffer) => readWhole(store.blobs, DEFAULT_SCOPE, digestOf(bytes))
    expect(await read(contents[3] as Buffer)).toEqual(contents[3])
    // Nothing is left to be read from.
    writeFileSync(segmentPath(layoutOf(dir), 1), '')
    for (const bytes of contents.slice(4)) {
      const found = await read(bytes)
      if (remembersPacks) expect(found).toEqual(bytes)
      else expect(found).toBeUndefined()
    }
  },
)
