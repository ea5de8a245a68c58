import type { IncomingHttpHeaders } from 'node:http'
import type { BoundedReader } from '../../grpc/bounded-reader.ts'
import type { Divide } from '../../grpc/message-parser.ts'
import type { Access } from '../access.ts'

/** A message that is encoded already, whole or in pieces that follow each other: for those that are asked for most, or are large. */
export class EncodedMessage {
  readonly pieces: readonly Uint8Array[]

  constructor(...pieces: readonly Uint8Array[]) {
    this.pieces = pieces
  }
}

/** What a service knows of a call beside its messages. */
export interface GrpcCall {
  /** The metadata, names in lower case. */
  readonly headers: IncomingHttpHeaders
  readonly access: Access
  /** Aborted when the client has cancelled or gone, its deadline has passed, or the server ends. */
  readonly signal: AbortSignal
}

/** Which access a method asks for; `none` answers whoever comes. */
export type NeededAccess = Access

/** A message's two directions, as generated code has them. */
interface Codec {
  encode(message: never): { finish(): Uint8Array }
  decode(message: Uint8Array | BoundedReader): unknown
  /** Of a stream's requests: several that follow each other stand for a large one. */
  readonly divide?: Divide
}

interface MethodDefinition {
  readonly name: string
  readonly requestType: Codec
  readonly responseType: Codec
  readonly requestStream: boolean
  readonly responseStream: boolean
}

/** What `outputServices=generic-definitions` generates for a service. */
export interface ServiceDefinition {
  readonly fullName: string
  readonly methods: Readonly<Record<string, MethodDefinition>>
}

type MessageOf<C> = C extends { decode(input: never): infer T } ? T : never
type Requests<M extends MethodDefinition> = M['requestStream'] extends true
  ? AsyncIterable<MessageOf<M['requestType']>>
  : MessageOf<M['requestType']>
type Response<M extends MethodDefinition> = MessageOf<M['responseType']> | EncodedMessage

/**
 * Answers a method's calls; to fail one, throw a `GrpcStatus`. A stream of requests need not be read to its end: who
 * answers before has answered, and what the client still sends is thrown away. A stream of one message may be given as that, which
 * leaves with its status in one piece.
 */
export type Handler<M extends MethodDefinition> = (
  request: Requests<M>,
  call: GrpcCall,
) => M['responseStream'] extends true
  ? AsyncIterable<Response<M>> | Promise<AsyncIterable<Response<M>> | EncodedMessage>
  : Promise<Response<M>>

/** One method, bound. */
export interface GrpcMethod {
  /** `/google.bytestream.ByteStream/Read` */
  readonly path: string
  readonly definition: MethodDefinition
  readonly needs: NeededAccess
  readonly handler: (request: never, call: GrpcCall) => Promise<unknown> | AsyncIterable<unknown>
}

/** A service's methods: each needs an access and has a handler. */
export function grpcService<D extends ServiceDefinition>(
  { fullName, methods }: D,
  bound: { readonly [N in keyof D['methods']]: readonly [NeededAccess, Handler<D['methods'][N]>] },
): GrpcMethod[] {
  return Object.entries(methods).map(([key, definition]) => {
    const [needs, handler] = bound[key as keyof D['methods']]
    return { path: `/${fullName}/${definition.name}`, definition, needs, handler: handler as GrpcMethod['handler'] }
  })
}
