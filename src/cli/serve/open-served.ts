import type { Cache } from '../../cache.ts'
import { CacheError } from '../../errors.ts'
import type { Served } from '../../server/protocol.ts'
import type { RemoteEnd } from '../../store/remote/remote-end.ts'
import type { ServeValues } from './serve-config.ts'

/**
 * What a server serves: its own cache folder, or what `--cas` and `--ac` name, for any number of servers to share, with the folder
 * as a faster copy. Throws `usage` for an address that is none.
 */
export async function openServed(cache: Cache, { cas, ac }: ServeValues): Promise<Served & AsyncDisposable> {
  const { records } = cache
  if (cas === undefined) {
    if (ac !== undefined)
      throw new CacheError(
        'usage',
        '--ac names where action results are kept, and nothing names where their blobs are.',
        {
          hint: 'Name that with --cas, as in --cas s3://BUCKET --ac redis://HOST.',
        },
      )
    const { blobs, frames, actions, names } = cache
    return { blobs, frames, actions, names, records, [Symbol.asyncDispose]: async () => undefined }
  }
  const [far, { writeThrough }] = await Promise.all([
    openShared(cas, ac),
    import('../../store/write-through/write-through.ts'),
  ])
  const { blobs, frames, actions, names, fleetLeases, ...store } = writeThrough(cache, far, { place: placeOf(cas) })
  return {
    ...{ blobs, frames, actions, names, records, fleetLeases },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await far[Symbol.asyncDispose]()
    },
  }
}

async function openShared(cas: string, ac: string | undefined): Promise<RemoteEnd> {
  const { openRemote } = await import('../../store/remote/open-remote.ts')
  const blobs = await openRemote(cas)
  if (ac === undefined) return blobs
  const { splitEnds } = await import('../../store/split/split-ends.ts')
  return splitEnds({ blobs, results: await openRemote(ac) })
}

/** Without what may stand before the host. */
function placeOf(address: string): string {
  return address.replace(/\/\/[^/?#]*@/, '//').replace(/[?#].*/, '')
}
