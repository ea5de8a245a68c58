import { artifactKey, bytesOf, findArtifact, keepArtifact } from '../../server/artifacts.ts'
import type { ReplyBody, Served } from '../../server/protocol.ts'
import type { Scope } from '../../store/contracts.ts'
import { letGo, type RemoteRequest, type RemoteServer } from '../remote-server.ts'

/** Where the helper keeps what ccache gives it. What cannot be had is not there; only damage on the way throws. */
export interface CcacheStorage {
  get(key: string): Promise<ReplyBody | undefined>
  has(key: string): Promise<boolean>
  /** False: it was not kept. */
  put(key: string, value: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<boolean>
  /** True: there was one. */
  remove(key: string): Promise<boolean>
}

export type CcacheLayout = 'subdirs' | 'flat' | 'bazel'

/** The path that ccache's own HTTP client asks for in that layout, so that both find the same. */
export function ccachePath(key: Uint8Array, layout: CcacheLayout): string {
  const hex = Buffer.from(key).toString('hex')
  if (layout === 'flat') return hex
  if (layout === 'bazel') return `ac/${hex.repeat(4).slice(0, 64)}`
  return `${hex.slice(0, 2)}/${hex.slice(2)}`
}

const TOOL = 'ccache'
const NEVER = new AbortController().signal

/** In the store of this machine. */
export function localCcacheStorage(served: Pick<Served, 'blobs' | 'actions'>, scope: Scope): CcacheStorage {
  return {
    async get(key) {
      const found = await findArtifact(served, scope, { tool: TOOL, key }, NEVER)
      return found && bytesOf(served, scope, found.digest, NEVER)
    },
    has: async (key) => (await findArtifact(served, scope, { tool: TOOL, key }, NEVER)) !== undefined,
    async put(key, body, contentLength) {
      const kept = await keepArtifact(served, { scope, body, contentLength, signal: NEVER }, { tool: TOOL, key })
      return kept === 'kept'
    },
    remove: (key) => served.actions.remove(scope, artifactKey(TOOL, key)),
  }
}

/** At a `recue serve`. */
export function remoteCcacheStorage(remote: RemoteServer): CcacheStorage {
  const pathOf = (key: string) => `/ccache/${key}`
  const statusOf = async (request: RemoteRequest) => {
    const reply = await remote.ask(request)
    await letGo(reply)
    return reply?.status
  }
  return {
    async get(key) {
      const reply = await remote.ask({ method: 'GET', path: pathOf(key) })
      if (reply?.status === 200) return reply.body
      await letGo(reply)
      return undefined
    },
    has: async (key) => (await statusOf({ method: 'HEAD', path: pathOf(key) })) === 200,
    async put(key, body, sizeBytes) {
      if ((await remote.access()) !== 'write') return false
      const headers = { 'content-type': 'application/octet-stream', 'content-length': String(sizeBytes) }
      const status = await statusOf({ method: 'PUT', path: pathOf(key), headers, body })
      return status === 200 || status === 201
    },
    remove: async (key) => (await statusOf({ method: 'DELETE', path: pathOf(key) })) === 204,
  }
}
