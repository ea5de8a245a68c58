import { Breaker } from '../connect/front/breaker.ts'
import { type Answer, openUpstream, UpstreamFault } from '../connect/front/upstream.ts'
import { greet, troubleWith } from '../connect/greet.ts'
import { prefixOf, type ServerAddress } from '../connect/server-address.ts'
import type { Access } from '../server/access.ts'

export interface RemoteRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE'
  /** Behind the server's and the instance's own. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: AsyncIterable<Uint8Array>
}

export interface RemoteOptions {
  /** How long it is left alone when it has failed; `Infinity` is for the life of the process. */
  readonly pauseMs: number
  /** Told what is wrong, each time that it begins to be left alone. */
  onDown(why: string): void
}

/**
 * A `recue serve` as a program that a build waits for sees it. Where it cannot be reached, is no recue or is slow, that costs one
 * wait of a few seconds for all that was asked together, and from then on it is as one that has nothing.
 */
export interface RemoteServer extends Disposable {
  /** What the token may. `none` where there is nobody to ask. */
  access(): Promise<Access>
  /** Undefined: it is left alone, or failed just now. A body that nobody reads has to be let go: {@link letGo}. */
  ask(request: RemoteRequest): Promise<Answer | undefined>
}

/** For a connection and for who is there. Across the world both take a second. */
const CONNECT_MS = 1_500
/** For the beginning of an answer, and between two pieces of it: a server whose machine is busy building may take a while. */
const WAIT_MS = 3_000
/** The same for what is sent, since nobody waits for that until the end. */
const SEND_MS = 10_000

/** Asks at once who is there, so that the first request finds it known. */
export function remoteServer(address: ServerAddress, { pauseMs, onDown }: RemoteOptions): RemoteServer {
  let access: Access = 'none'
  const asking = openUpstream(address, { connectMs: CONNECT_MS, idleMs: WAIT_MS })
  const sending = openUpstream(address, { connectMs: CONNECT_MS, idleMs: SEND_MS })
  const breaker = new Breaker({
    pauseMs,
    async probe() {
      const greeted = await greet(address, CONNECT_MS)
      access = greeted.kind === 'recue' ? greeted.access : 'none'
      return troubleWith(address, greeted)?.what
    },
    onChange: ({ isOpen, why }) => {
      if (isOpen) onDown(why ?? '')
    },
  })
  return {
    async access() {
      return (await breaker.admit()) === undefined ? 'none' : access
    },
    async ask({ method, path, headers = {}, body }) {
      const signal = await breaker.admit()
      if (signal === undefined) return undefined
      try {
        const upstream = body === undefined ? asking : sending
        return await upstream.ask({ method, path: `${prefixOf(address)}${path}`, headers, body, signal })
      } catch (error) {
        if (!(error instanceof UpstreamFault)) throw error
        breaker.trip(error.message)
        return undefined
      }
    },
    [Symbol.dispose]() {
      breaker[Symbol.dispose]()
      asking[Symbol.dispose]()
      sending[Symbol.dispose]()
    },
  }
}

/** What came is in a file where it is large. */
export async function letGo(reply: Answer | undefined): Promise<void> {
  const body = reply?.body
  if (typeof body === 'object' && 'bytes' in body) await body.bytes[Symbol.asyncDispose]()
}
