import { createReadStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Answer } from '../../connect/front/upstream.ts'
import type { Digest } from '../../digest/digest.ts'
import type { ReplyBody } from '../../server/protocol.ts'
import { GO_OUTPUT_HEADER, GO_TIME_HEADER } from '../../server/protocols/go.ts'
import { letGo, type RemoteServer } from '../remote-server.ts'

/** An output that another machine made; its bytes are as the server sent them, and to be read or disposed of. */
export interface RemoteOutput {
  readonly digest: Digest
  readonly madeMs: number
  readonly body: ReplyBody
}

/** What a `recue serve` keeps for the go commands of others. Where it does not answer, it has nothing. */
export interface GoServer {
  /** Done when it is known whether it answers. */
  known(): Promise<unknown>
  get(action: string): Promise<RemoteOutput | undefined>
  /** `path` is a file with the output. Throws where the server did not keep it. */
  put(action: string, output: { digest: Digest; madeMs: number; path: string }, signal: AbortSignal): Promise<void>
}

export function goServer(remote: RemoteServer): GoServer {
  return {
    known: () => remote.access(),
    async get(action) {
      const reply = await remote.ask({ method: 'GET', path: `/go/${action}` })
      const output = reply && outputIn(reply)
      if (output === undefined) await letGo(reply)
      return output
    },
    async put(action, { digest, madeMs, path }, signal) {
      if ((await remote.access()) !== 'write') return
      const body = createReadStream(path, { signal })
      const headers = {
        [GO_TIME_HEADER]: new Date(madeMs).toISOString(),
        'content-type': 'application/octet-stream',
        'content-length': String(digest.sizeBytes),
      }
      const reply = await remote.ask({ method: 'PUT', path: `/go/${action}`, headers, body })
      body.destroy()
      await finished(body).catch(() => undefined)
      await letGo(reply)
      if (reply !== undefined && reply.status !== 200)
        throw new Error(`The server did not keep an output of Go (status ${reply.status}).`)
    },
  }
}

function outputIn({ status, headers, body }: Answer): RemoteOutput | undefined {
  const { [GO_OUTPUT_HEADER]: hash = '', [GO_TIME_HEADER]: time = '', 'content-length': length } = headers
  const madeMs = Date.parse(time)
  if (status !== 200 || !/^[0-9a-f]{64}$/.test(hash) || Number.isNaN(madeMs)) return undefined
  return { digest: { hash, sizeBytes: Number(length) }, madeMs, body }
}
