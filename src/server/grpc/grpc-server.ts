import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { Access, Gate } from '../access.ts'
import { Call } from './call.ts'
import { isGrpc } from './metadata.ts'
import type { GrpcMethod, NeededAccess } from './service.ts'

export interface GrpcServerOptions {
  readonly methods: readonly GrpcMethod[]
  readonly gate: Gate
  /** Told of each call when it is over. */
  readonly onCall?: (entry: GrpcCallEntry) => void
  /** Told of what failed while a client was told of less. */
  readonly onFault?: (fault: { readonly protocol: string; readonly error: unknown }) => void
}

/** A line of the access log. */
export interface GrpcCallEntry {
  readonly protocol: 'grpc'
  readonly method: string
  /** `/google.bytestream.ByteStream/Read` */
  readonly path: string
  /** Where a request names one as its `instance_name`; else empty. */
  readonly instance: string
  /** gRPC's code: 0 is OK. */
  readonly status: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly durationMs: number
  /** With what was sent as metadata: not for a log as they are. */
  readonly headers: IncomingHttpHeaders
}

/** gRPC over streams of HTTP/2 that somebody else listens for. */
export interface GrpcServer {
  /** Answers a stream to its end, whatever comes in it; never throws. */
  takeGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void
}

export function grpcServer(options: GrpcServerOptions): GrpcServer {
  return new Calls(options)
}

class Calls implements GrpcServer {
  readonly #options: GrpcServerOptions
  readonly #methods: ReadonlyMap<string, GrpcMethod>

  constructor(options: GrpcServerOptions) {
    this.#options = options
    this.#methods = new Map(options.methods.map((method) => [method.path, method]))
  }

  takeGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const start = performance.now()
    const path = headers[':path'] ?? ''
    const method = this.#methods.get(path)
    const access = this.#options.gate.accessOf(headers.authorization)
    const call = new Call(stream, headers, access, {
      onClose: (outcome) =>
        this.#options.onCall?.({
          protocol: 'grpc',
          method: headers[':method'] ?? '',
          path,
          ...outcome,
          durationMs: performance.now() - start,
          headers,
        }),
      onFault: (error) => this.#options.onFault?.({ protocol: path.slice(1), error }),
    })
    const isCall = headers[':method'] === 'POST' && isGrpc(headers['content-type'])
    if (!isCall) call.refuseAsHttp(headers[':method'] === 'POST' ? 415 : 405)
    else if (method === undefined) call.refuse(new GrpcStatus(GrpcCode.UNIMPLEMENTED, `No method ${path} is served.`))
    else if (!isEnough(access, method.needs)) call.refuse(refusal(access))
    else void call.run(method)
  }
}

function isEnough(access: Access, needed: NeededAccess): boolean {
  return needed === 'none' || access === 'write' || access === needed
}

function refusal(access: Access): GrpcStatus {
  return access === 'none'
    ? new GrpcStatus(GrpcCode.UNAUTHENTICATED, 'A token is needed, and none that is known was shown.')
    : new GrpcStatus(GrpcCode.PERMISSION_DENIED, 'The token may only read.')
}
