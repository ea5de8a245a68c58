/**
 * `grpc-unary-child.ts ours|bare|grpc-js`: answers `QueryWriteStatus` with how long the name is, and prints the port that
 * it took. `bare` is what any server on `node:http2` has to do for that, without a check or a choice.
 */
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Server, ServerCredentials, type UntypedHandleCall } from '@grpc/grpc-js'
import {
  ByteStreamDefinition,
  QueryWriteStatusRequest,
  QueryWriteStatusResponse,
} from '../src/proto/google/bytestream/bytestream.ts'
import { OPEN } from '../src/server/access.ts'
import { grpcServer } from '../src/server/grpc/grpc-server.ts'
import { grpcService } from '../src/server/grpc/service.ts'
import { GRPC_SESSION_OPTIONS, tuneSession } from '../src/server/grpc/session-options.ts'
import { grpcMessage } from './grpc-message.ts'

const HOST = '127.0.0.1'

const answer = (request: QueryWriteStatusRequest): QueryWriteStatusResponse => ({
  committedSize: request.resourceName.length,
  complete: true,
})
const encode = (response: QueryWriteStatusResponse) => Buffer.from(QueryWriteStatusResponse.encode(response).finish())

switch (process.argv[2]) {
  case 'ours':
    listen(ours())
    break
  case 'bare':
    listen(bare)
    break
  default:
    await listenAsGrpcJs()
}

function listen(take: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void): void {
  const server = http2.createServer(GRPC_SESSION_OPTIONS)
  server.on('session', tuneSession)
  server.on('stream', (stream, headers) => take(stream as http2.ServerHttp2Stream, headers))
  server.listen(0, HOST, () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
}

function ours(): Parameters<typeof listen>[0] {
  async function* nothing() {}
  const methods = grpcService(ByteStreamDefinition, {
    read: ['read', nothing],
    write: ['write', async () => ({ committedSize: 0 })],
    queryWriteStatus: ['read', async (request) => answer(request)],
  })
  const server = grpcServer({ methods, gate: OPEN })
  return (stream, headers) => server.takeGrpc(stream, headers)
}

function bare(stream: http2.ServerHttp2Stream): void {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    const request = QueryWriteStatusRequest.decode(Buffer.concat(chunks).subarray(5))
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(grpcMessage(encode(answer(request))))
  })
}

async function listenAsGrpcJs(): Promise<void> {
  const server = new Server()
  const { queryWriteStatus } = ByteStreamDefinition.methods
  const handler: UntypedHandleCall = (
    call: { request: QueryWriteStatusRequest },
    done: (error: null, response: QueryWriteStatusResponse) => void,
  ) => done(null, answer(call.request))
  server.addService(
    {
      queryWriteStatus: {
        ...{ path: `/${ByteStreamDefinition.fullName}/${queryWriteStatus.name}`, requestStream: false },
        ...{ responseStream: false, requestSerialize: Buffer.from, responseDeserialize: Buffer.from },
        requestDeserialize: (bytes: Buffer) => QueryWriteStatusRequest.decode(bytes),
        responseSerialize: encode,
      },
    },
    { queryWriteStatus: handler },
  )
  server.bindAsync(`${HOST}:0`, ServerCredentials.createInsecure(), (_error, port) => process.stdout.write(`${port}\n`))
}
