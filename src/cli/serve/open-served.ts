import type { Cache } from '../../cache.ts'
import { CacheError } from '../../errors.ts'
import type { Served } from '../../server/protocol.ts'
import { shownAddress } from '../../store/remote/shown-address.ts'
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
  const [{ openShared }, { writeThrough }] = await Promise.all([
    import('./shared-ends.ts'),
    import('../../store/write-through/write-through.ts'),
  ])
  const far = await openShared({ cas, ac })
  const { blobs, frames, actions, names, fleetLeases, ...store } = writeThrough(cache, far, {
    place: shownAddress(cas),
  })
  return {
    ...{ blobs, frames, actions, names, records, fleetLeases, isOneOfMany: true },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await far[Symbol.asyncDispose]()
    },
  }
}
