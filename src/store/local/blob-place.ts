import type { IndexDb } from './index-db.ts'
import { type BlobPlace, decodeBlobPlace } from './rows.ts'

/** Where the index says the blob with this key is. Undefined: nowhere, or its row does not check out. */
export function placeOf(index: IndexDb, key: Buffer): BlobPlace | undefined {
  const value = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
  return value && decodeBlobPlace(key, value)
}
