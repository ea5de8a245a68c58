import { readdirSync } from 'node:fs'
import path from 'node:path'
import * as grpc from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { repository } from '../runtimes.ts'

/** What came of a call: gRPC's code by its name, and what was answered, fields as protobuf's JSON names them. */
export interface Answer {
  readonly code: string
  readonly message: string
  /** The last message; of a stream, `answers` has them all. */
  // biome-ignore lint/suspicious/noExplicitAny: messages are of whatever type the .proto files say, read at run time.
  readonly answer: any
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly answers: readonly any[]
  /** `type subject` of each violation of a PreconditionFailure. */
  readonly violations: readonly string[]
}

export interface CallOptions {
  readonly deadlineMs?: number
  readonly metadata?: Readonly<Record<string, string | Buffer>>
  /** Given the call as soon as it is made. */
  readonly made?: (call: grpc.Call) => void
  /** Given each answer of a stream. */
  readonly heard?: (message: unknown, call: grpc.Call) => void
}

const PROTOS = path.join(repository, 'src/proto')
const root = new protobuf.Root()
root.resolvePath = (_, file) => path.join(PROTOS, file)
root.loadSync(
  ['build/bazel', 'google/bytestream', 'google/rpc', 'grpc/health'].flatMap((folder) =>
    readdirSync(path.join(PROTOS, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.proto'))
      .map((file) => path.join(folder, file)),
  ),
)
root.resolveAll()

const PACKAGES = [
  'build.bazel.remote.execution.v2',
  'build.bazel.remote.asset.v1',
  'google.bytestream',
  'grpc.health.v1',
]

export function encoded(type: string, message: object): Buffer {
  return bytesOf(root.lookupType(type), message)
}

export function decoded(type: string, bytes: Uint8Array): object {
  return messageOf(root.lookupType(type), bytes)
}

function bytesOf(type: protobuf.Type, message: object): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish())
}

function messageOf(type: protobuf.Type, bytes: Uint8Array): object {
  return type.toObject(type.decode(bytes), { longs: Number, enums: String, defaults: true, arrays: true })
}

/** A client of gRPC's own library, with messages from the .proto files: nothing of it is recue's. */
export class Client implements Disposable {
  readonly #client: grpc.Client
  readonly #token: string | undefined

  /** `host:port` */
  constructor(address: string, token?: string) {
    // 4 MiB is what clients take unless told otherwise.
    const options = { 'grpc.max_receive_message_length': 4 << 20, 'grpc.use_local_subchannel_pool': 1 }
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), options)
    this.#token = token
  }

  /** A call with one request: `ActionCache/GetActionResult`. Never rejects. */
  call(method: string, request: object, options: CallOptions = {}): Promise<Answer> {
    const { path, serialize, deserialize } = methodNamed(method)
    const [metadata, how] = this.#with(options)
    const call = this.#client.makeServerStreamRequest(path, serialize, deserialize, request, metadata, how)
    return heard(call, options)
  }

  /** A call whose requests are a stream; `requests` may wait between them. Stops to send when it is answered. */
  send(method: string, requests: AsyncIterable<object> | Iterable<object>, options: CallOptions = {}): Promise<Answer> {
    const { path, serialize, deserialize } = methodNamed(method)
    const [metadata, how] = this.#with(options)
    const call = this.#client.makeBidiStreamRequest(path, serialize, deserialize, metadata, how)
    const answer = heard(call, options)
    void (async () => {
      for await (const request of requests) {
        if (call.writableEnded || call.destroyed) return
        if (!call.write(request)) await drained(call)
      }
      call.end()
    })().catch(() => call.cancel())
    return answer
  }

  /** Bytes that need be no message. */
  bytes(path: string, bytes: Buffer): Promise<Answer> {
    const same = (one: Buffer) => one
    return heard(this.#client.makeServerStreamRequest(path, same, same, bytes, this.#with({})[0]), {})
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  #with({ deadlineMs, metadata: given = {} }: CallOptions): [grpc.Metadata, grpc.CallOptions] {
    const metadata = new grpc.Metadata()
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`)
    for (const [name, value] of Object.entries(given)) metadata.set(name, value)
    return [metadata, deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }]
  }
}

/** A method that no .proto file has is called with no bytes. */
function methodNamed(method: string) {
  const [serviceName = '', name = ''] = method.split('/')
  const found = PACKAGES.flatMap((one) => {
    const service = root.lookup(`${one}.${serviceName}`, protobuf.Service)
    return service instanceof protobuf.Service ? [{ full: `${one}.${serviceName}`, method: service.methods[name] }] : []
  })[0]
  const { resolvedRequestType: request, resolvedResponseType: response } = found?.method ?? {}
  return {
    path: `/${found?.full ?? serviceName}/${name}`,
    serialize: (message: object) => (request ? bytesOf(request, message) : Buffer.alloc(0)),
    deserialize: (bytes: Buffer) => (response ? messageOf(response, bytes) : bytes),
  }
}

/** Until more can be written, or nobody listens any more. */
function drained(call: grpc.ClientDuplexStream<object, unknown>): Promise<void> {
  return new Promise((go) => {
    const events = ['drain', 'close', 'end'] as const
    const done = () => {
      for (const event of events) call.off(event, done)
      go()
    }
    for (const event of events) call.on(event, done)
  })
}

type Heard = grpc.ClientReadableStream<unknown> | grpc.ClientDuplexStream<object, unknown>

function heard(call: Heard, { made, heard: hear }: CallOptions): Promise<Answer> {
  const answers: unknown[] = []
  made?.(call)
  return new Promise((resolve) => {
    call.on('data', (message: unknown) => {
      answers.push(message)
      hear?.(message, call)
    })
    // The status says it all.
    call.on('error', () => undefined)
    call.on('status', ({ code, details, metadata }: grpc.StatusObject) => {
      const violations = metadata.get('grpc-status-details-bin').flatMap((value) => violationsIn(value as Buffer))
      resolve({
        code: grpc.status[code] ?? String(code),
        message: details,
        answer: answers.at(-1),
        answers,
        violations,
      })
    })
  })
}

function violationsIn(bytes: Buffer): string[] {
  const { details } = decoded('google.rpc.Status', bytes) as { details: { value: Buffer }[] }
  return details.flatMap(({ value }) => {
    const { violations } = decoded('google.rpc.PreconditionFailure', value) as {
      violations: { type: string; subject: string }[]
    }
    return violations.map(({ type, subject }) => `${type} ${subject}`)
  })
}
