import type { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import { EncodedMessage, type GrpcCall, type GrpcMethod } from '../grpc/service.ts'

const CALL: GrpcCall = { headers: {}, access: 'write', signal: new AbortController().signal }

type Codec = GrpcMethod['definition']['responseType']

/** Calls a method of services as a client would, without a wire: `/Read` or any other end of a path says which. */
export class Called {
  readonly #methods: readonly GrpcMethod[]

  constructor(...services: readonly (readonly GrpcMethod[])[]) {
    this.#methods = services.flat()
  }

  async one<T>(path: string, request: unknown, call: Partial<GrpcCall> = {}): Promise<T> {
    const { handler, definition } = this.#method(path)
    return decoded(
      await (handler(request as never, { ...CALL, ...call }) as Promise<unknown>),
      definition.responseType,
    ) as T
  }

  async *stream<T>(path: string, request: unknown, call: Partial<GrpcCall> = {}): AsyncGenerator<T> {
    const { handler, definition } = this.#method(path)
    const answer: unknown = await handler(request as never, { ...CALL, ...call })
    for await (const message of answer instanceof EncodedMessage ? [answer] : (answer as AsyncIterable<unknown>))
      yield decoded(message, definition.responseType) as T
  }

  async all<T>(path: string, request: unknown, call: Partial<GrpcCall> = {}): Promise<T[]> {
    const messages: T[] = []
    for await (const message of this.stream<T>(path, request, call)) messages.push(message)
    return messages
  }

  #method(path: string): GrpcMethod {
    const method = this.#methods.find((one) => one.path.endsWith(path))
    if (method === undefined) throw new Error(`no method ${path}`)
    return method
  }
}

/** What went over the wire, whoever encoded it. */
function decoded(message: unknown, { encode, decode }: Codec): unknown {
  return decode(message instanceof EncodedMessage ? Buffer.concat(message.pieces) : encode(message as never).finish())
}

/** The code that a call failed with; undefined when it did not. */
export async function codeOf(calling: Promise<unknown>): Promise<GrpcCode | undefined> {
  try {
    await calling
    return undefined
  } catch (error) {
    if ((error as Error).name !== 'GrpcStatus') throw error
    return (error as GrpcStatus).code
  }
}
