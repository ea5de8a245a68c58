import { EMPTY_DIGEST } from '../../digest/digest.ts'
import type { BlobNames } from '../contracts.ts'
import type { IndexDb } from './index-db.ts'
import { blobKey, decodeBlobPlace } from './rows.ts'

/** By the row of the index, which has the size. */
export function localNames({ index }: { readonly index: IndexDb }): BlobNames {
  return {
    async digestOf(_scope, hash) {
      if (hash === EMPTY_DIGEST.hash) return EMPTY_DIGEST
      const key = blobKey(hash)
      const row = index.lookUp(() => index.sql('SELECT place FROM blobs WHERE hash=?').get(key), undefined)
      const place = row && decodeBlobPlace(key, row[0] as Uint8Array)
      return place && { hash, sizeBytes: place.sizeBytes }
    },
  }
}
