import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import type { BlobNames, Scope } from '../../contracts.ts'
import { head } from '../../head.ts'
import type { ObjectKeys } from './object-keys.ts'
import type { S3Client } from './s3-client.ts'
import type { StoredBlobs } from './stored-blobs.ts'

/** There is one object for a blob; whatever else begins like it is nobody's of ours. */
const MOST_KEYS = 10
const MOST_LIST_BYTES = 64 << 10

/** Blobs by their hash alone: what the bucket lists whose name begins with it (ListObjectsV2). Asked for in vain costs a list, which is dearer than a look. */
export class S3Names implements BlobNames {
  readonly #client: S3Client
  readonly #keys: ObjectKeys
  readonly #stored: StoredBlobs

  constructor(client: S3Client, keys: ObjectKeys, stored: StoredBlobs) {
    this.#client = client
    this.#keys = keys
    this.#stored = stored
  }

  async digestOf(_: Scope, hash: string, signal?: AbortSignal): Promise<Digest | undefined> {
    if (hash === EMPTY_DIGEST.hash) return EMPTY_DIGEST
    const query = { 'list-type': '2', prefix: this.#keys.blobsOf(hash), 'max-keys': `${MOST_KEYS}` }
    await using answer = await this.#client.ask({ method: 'GET', key: '', query, signal })
    const { whole } = await head(answer.body, MOST_LIST_BYTES, signal === undefined ? {} : { signal })
    if (answer.status === 404 || whole === undefined) return undefined
    return sizesIn(Buffer.from(whole).toString(), hash)
      .map((sizeBytes) => ({ hash, sizeBytes }))
      .find((digest) => !this.#stored.isDoubted(digest))
  }
}

/** What stands before the hash may be written in XML's own ways; what follows is digits alone. */
function sizesIn(list: string, hash: string): number[] {
  const found = list.matchAll(new RegExp(`${hash}-(\\d{1,15})</Key>`, 'g'))
  return Array.from(found, ([, digits]) => Number(digits))
}
