import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cache, type CacheOptions, openCache } from '../../cache.ts'
import { GrpcStatus } from '../../grpc/status.ts'
import type { Access } from '../access.ts'
import { EncodedMessage, type GrpcMethod } from '../grpc/service.ts'

/** A cache of its own in a temporary folder. */
export async function temporaryCache(options: CacheOptions = {}): Promise<Cache> {
  const cacheDir = mkdtempSync(join(tmpdir(), 'recue-reapi-'))
  const cache = await openCache({ cacheDir, ...options })
  const close = cache.close.bind(cache)
  return Object.assign(cache, {
    async [Symbol.asyncDispose]() {
      await close()
      rmSync(cacheDir, { recursive: true, force: true })
    },
  })
}

export interface CallOptions {
  readonly access?: Access
  readonly signal?: AbortSignal
  readonly headers?: Record<string, string>
}

/** Calls a method that answers once as the layer above would, its request and its answer through their bytes. */
export async function call<T = unknown>(
  methods: readonly GrpcMethod[],
  name: string,
  request: object,
  { access = 'write', signal = new AbortController().signal, headers = {} }: CallOptions = {},
): Promise<T> {
  const method = methods.find(({ path }) => path.endsWith(`/${name}`))
  if (method === undefined) throw new Error(`There is no method ${name}.`)
  const { requestType, responseType } = method.definition
  const whole = { ...(requestType.decode(new Uint8Array(0)) as object), ...request }
  const sent = requestType.decode(requestType.encode(whole as never).finish())
  const answer = await (method.handler(sent as never, { access, signal, headers }) as Promise<unknown>)
  const bytes =
    answer instanceof EncodedMessage ? Buffer.concat(answer.pieces) : responseType.encode(answer as never).finish()
  return responseType.decode(bytes) as T
}

/** What a call that fails is told. */
export async function statusOf(call: Promise<unknown>): Promise<GrpcStatus> {
  try {
    await call
  } catch (error) {
    if (error instanceof GrpcStatus) return error
    throw error
  }
  throw new Error('The call did not fail.')
}
