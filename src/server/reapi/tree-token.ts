import type { Digest } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'

/** How many directories of a tree came before, and the hash of the last of them. */
export interface TreePlace {
  readonly count: number
  readonly last: string
}

/** The server keeps nothing for who pages through a tree: the token says it all, and of which tree it is. */
export function treeToken(root: Digest, { count, last }: TreePlace): string {
  return `${count}-${last}-${root.hash}`
}

/** Where to go on; the beginning for an empty token. Throws INVALID_ARGUMENT when it is none of this tree's. */
export function treePlaceIn(token: string, root: Digest): TreePlace {
  if (token === '') return { count: 0, last: root.hash }
  const [, count, last, of] = /^([1-9]\d{0,6})-([0-9a-f]{64})-([0-9a-f]{64})$/.exec(token) ?? []
  if (count === undefined || last === undefined || of !== root.hash)
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'page_token was not given out for this tree.')
  return { count: Number(count), last }
}
