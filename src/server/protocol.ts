import type { IncomingHttpHeaders } from 'node:http'
import type {
  ActionStore,
  BlobNames,
  BlobStore,
  Frames,
  Ingest,
  OpenBytes,
  Scope,
  WorkspaceRecords,
} from '../store/contracts.ts'
import type { FleetLeases } from '../store/fleet-leases.ts'
import type { Access } from './access.ts'
import type { Usage } from './usage.ts'

/** The store as the server sees it. */
export interface Served {
  /** Undefined where nobody keeps books. */
  readonly usage?: Usage | undefined
  readonly blobs: BlobStore & Ingest
  readonly frames: Frames
  readonly actions: ActionStore
  readonly names: BlobNames
  readonly records: WorkspaceRecords
  /** Other servers keep the same blobs and action results, and not the same records. */
  readonly isOneOfMany?: boolean | undefined
  /** Shared with other servers of the fleet; undefined: between the clients of this one. */
  readonly fleetLeases?: FleetLeases | undefined
}

/** A request that was let in, in the terms of a protocol. */
export interface ProtocolRequest {
  readonly method: string
  /** What follows the protocol's own prefix, without a leading slash; decoded. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** It came to us by TLS; what stands between may have had it so all the same. */
  readonly isEncrypted: boolean
  /** As announced; undefined where it was not. */
  readonly contentLength: number | undefined
  /** The bytes as they come. Fails when the client goes away before all are there. Not to be read: none are asked for. */
  readonly body: AsyncIterable<Uint8Array>
  readonly access: Access
  readonly scope: Scope
  /** Aborted when the client has gone, or the server ends. */
  readonly signal: AbortSignal
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: ReplyBody
}

/** `sizeBytes` is announced; should the bytes end early, the connection is cut. */
export type ReplyBody = string | Uint8Array | { readonly bytes: OpenBytes; readonly sizeBytes: number }

/** One tool's protocol over HTTP: translation onto the store, and nothing else. */
export interface Protocol {
  readonly name: string
  /** Below which path it lives: `/v8/artifacts`, `/gradle`. An instance's name may stand before it. */
  readonly prefix: string
  /** Its addresses say themselves who may: no token is asked for. */
  readonly isSigned?: true
  /** Throws what the store throws; `onFault` then says what the tool is told. */
  answer(request: ProtocolRequest, served: Served): Promise<Reply>
  /** What the client is told when something of ours failed: a miss, in its words. */
  onFault(request: ProtocolRequest): Reply
  /** What it is told when it may not read, or may not write. */
  refuse(request: ProtocolRequest, lacking: 'read' | 'write'): Reply
}

export const NOT_FOUND: Reply = { status: 404 }
export const METHOD_NOT_ALLOWED: Reply = { status: 405, headers: { allow: 'GET, HEAD, PUT' } }

/** Reading changes nothing that matters. */
export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'PROPFIND'
}
