import { expect, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { temporaryServer } from '../../server/temporary-server.fixture.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { readWhole } from '../read-whole.ts'
import { openRemote } from '../remote/open-remote.ts'
import { Rendezvous } from './rendezvous.ts'
import { sharded } from './sharded.ts'

const ACTIONS = 40

test('of five servers one dies and is then left out: every request is a hit, and what it had comes to others', async () => {
  await using used = new AsyncDisposableStack()
  const servers = await Promise.all(Array.from({ length: 5 }, () => temporaryServer()))
  const [dying] = servers.splice(2, 1)
  for (const server of servers) used.use(server)
  const urls = servers.map(({ url }) => url)
  const living = urls.map((url, i) => ({ name: `cache ${i}`, url }))
  const opened = async (members: typeof living) =>
    sharded(await Promise.all(members.map(async ({ name, url }) => ({ name, weight: 1, end: await openRemote(url) }))))
  const five = [...living, { name: 'cache 4', url: dying?.url ?? '' }]
  const contents = Array.from({ length: ACTIONS }, (_, i) => content(1000 + i, i))
  const digests = contents.map(digestOf)
  {
    await using all = await opened(five)
    await Promise.all(contents.map((bytes, i) => all.blobs.write(scope, digests[i] as Digest, bytes)))
    for (const [i, digest] of digests.entries()) await all.actions.put(scope, action(`${i}`), result([digest]))
  }
  const hits = async (all: Awaited<ReturnType<typeof opened>>) => {
    let found = 0
    for (const [i, digest] of digests.entries()) {
      const lookup = await all.actions.get(scope, action(`${i}`))
      const bytes = await readWhole(all.blobs, scope, digest)
      if (lookup.kind === 'hit' && bytes !== undefined && Buffer.from(bytes).equals(contents[i] as Buffer)) found++
    }
    return found
  }
  await dying?.[Symbol.asyncDispose]()
  {
    await using all = await opened(five)
    expect(await hits(all)).toBe(ACTIONS)
  }
  const rendezvous = new Rendezvous(
    living.map(({ name }) => ({ name, weight: 1 })),
    1,
  )
  const isRestored = async () => {
    for (const digest of digests) {
      const [first = 0] = rendezvous.of(digest.hash)
      await using end = await openRemote(urls[first] as string)
      if ((await end.blobs.missing(scope, [digest])).length > 0) return false
    }
    return true
  }
  do {
    await using fewer = await opened(living)
    expect(await hits(fewer)).toBe(ACTIONS)
  } while (!(await isRestored()))
})
