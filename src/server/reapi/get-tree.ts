import { fieldHeader } from '../../grpc/field-header.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { GetTreeRequest } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { BlobStore } from '../../store/contracts.ts'
import { EncodedMessage, type GrpcCall } from '../grpc/service.ts'
import { blobDigestArgument, checkDigestFunction } from './digest-argument.ts'
import { directoriesBelow } from './directory-walk.ts'
import { missOf, type OnFault } from './faults.ts'
import { scopeOf } from './scope.ts'
import { type TreePlace, treePlaceIn, treeToken } from './tree-token.ts'

interface Store {
  readonly blobs: BlobStore
  readonly onFault: OnFault
}

/** Clients take messages of 4 MiB; a directory that is larger than a page is one of its own. */
const PAGE_BYTES = 1 << 20
const MOST_IN_PAGE = 10_000

/** `GetTreeResponse.directories` and `next_page_token`. */
const DIRECTORIES_TAG = 0x0a
const TOKEN_TAG = 0x12

/**
 * The directories of a tree, each once and as it is stored. A page's token says where the next one begins: who comes back with
 * it goes on there, unless what came before is not the same any more.
 */
export async function* getTree(
  { blobs, onFault }: Store,
  { instanceName, rootDigest, pageSize, pageToken, digestFunction }: GetTreeRequest,
  { signal }: GrpcCall,
): AsyncGenerator<EncodedMessage> {
  checkDigestFunction(digestFunction)
  const root = blobDigestArgument(rootDigest, 'root_digest')
  if (pageSize < 0) throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `page_size is ${pageSize}.`)
  const start = treePlaceIn(pageToken, root)
  const page = new Page(pageSize === 0 ? MOST_IN_PAGE : Math.min(pageSize, MOST_IN_PAGE))
  let place: TreePlace = { count: 0, last: root.hash }
  try {
    for await (const { digest, bytes } of directoriesBelow(blobs, scopeOf(instanceName), root, signal)) {
      if (!page.hasRoom(bytes.length)) yield page.take(treeToken(root, place))
      place = { count: place.count + 1, last: digest.hash }
      if (place.count > start.count) page.add(bytes)
      else if (place.count === start.count && place.last !== start.last) throw changed()
    }
  } catch (error) {
    throw missOf(error, `The tree of ${root.hash}`, signal, onFault)
  }
  if (place.count < start.count) throw changed()
  yield page.take('')
}

function changed(): GrpcStatus {
  return new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'page_token is of a tree that was another.')
}

class Page {
  readonly #mostDirectories: number
  #count = 0
  #bytes = 0
  #pieces: Uint8Array[] = []

  constructor(mostDirectories: number) {
    this.#mostDirectories = mostDirectories
  }

  hasRoom(directoryBytes: number): boolean {
    return this.#count === 0 || (this.#count < this.#mostDirectories && this.#bytes + directoryBytes <= PAGE_BYTES)
  }

  add(directory: Uint8Array): void {
    this.#count++
    this.#bytes += directory.length
    this.#pieces.push(fieldHeader(DIRECTORIES_TAG, directory.length), directory)
  }

  take(token: string): EncodedMessage {
    const pieces = this.#pieces
    if (token !== '') pieces.push(fieldHeader(TOKEN_TAG, token.length), Buffer.from(token, 'latin1'))
    this.#pieces = []
    this.#count = this.#bytes = 0
    return new EncodedMessage(Buffer.concat(pieces))
  }
}
