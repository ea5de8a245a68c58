import { setImmediate as breathe } from 'node:timers/promises'
import type { IndexDb } from '../index-db.ts'
import { type BlobPlace, decodeBlobPlace } from '../rows.ts'
import type { Statement } from '../sql-statement.ts'

/**
 * The rows of a table in the order of its keys, so many at a time: others have their turn in between, and no view of the
 * index is held open, which would keep its log growing. `page` selects the key first, from behind its first parameter on,
 * as many as its second says.
 */
export async function* rowPages<Row extends readonly unknown[]>(
  page: Statement,
  rowsAStep: number,
  signal?: AbortSignal,
): AsyncGenerator<readonly Row[]> {
  for (let after: Uint8Array = new Uint8Array(0); ; await breathe(undefined, signal === undefined ? {} : { signal })) {
    const rows = page.all(after, rowsAStep) as unknown as readonly Row[]
    yield rows
    if (rows.length < rowsAStep) return
    after = rows.at(-1)?.[0] as Uint8Array
  }
}

const BLOBS_A_STEP = 400

/** Where all blobs are whose rows check out, in the order of their hashes, in pages as above. */
export async function* blobPlaces(index: IndexDb, signal?: AbortSignal): AsyncGenerator<readonly BlobPlace[]> {
  const page = index.sql('SELECT hash, place FROM blobs WHERE hash > ? ORDER BY hash LIMIT ?')
  for await (const rows of rowPages<readonly [hash: Uint8Array, place: Uint8Array]>(page, BLOBS_A_STEP, signal))
    yield rows.flatMap(([hash, value]) => decodeBlobPlace(hash, value) ?? [])
}
