import { CacheError } from '../errors.ts'
import type { Gate } from './access.ts'
import { actionsArchives } from './actions-cache/archives.ts'
import { actionsCache } from './actions-cache/cache-service.ts'
import { saidIn } from './caller.ts'
import { grpcServer } from './grpc/grpc-server.ts'
import { HttpAnswers } from './http-answers.ts'
import { isSameAddress, type ListenAddress, urlOf } from './listen/address.ts'
import { type ConnectionLimits, Connections } from './listen/connections.ts'
import { type Answering, speaking } from './listen/protocol-listener.ts'
import { listenForSockets, type SocketListener } from './listen/socket-listener.ts'
import type { TlsKeys } from './listen/tls-keys.ts'
import { mise } from './mise/mise.ts'
import type { Protocol, Served } from './protocol.ts'
import { bazelAc, bazelCas } from './protocols/bazel-http.ts'
import { ccache } from './protocols/ccache.ts'
import { go } from './protocols/go.ts'
import { gradle } from './protocols/gradle.ts'
import { maven } from './protocols/maven.ts'
import { nx } from './protocols/nx.ts'
import { rush } from './protocols/rush.ts'
import { s3 } from './protocols/s3.ts'
import { sccache } from './protocols/sccache.ts'
import { turborepo } from './protocols/turborepo.ts'
import { openServices } from './services.ts'
import type { AccessEntry, Fault } from './watcher.ts'

/** A line each. Well-known paths stay where their tools look for them; the others are mounted by name. */
export const PROTOCOLS: readonly Protocol[] = [
  turborepo,
  nx,
  bazelAc,
  bazelCas,
  gradle,
  maven,
  ccache,
  sccache,
  s3,
  rush,
  go,
  actionsCache,
  actionsArchives,
  mise,
]

export interface ServeOptions {
  readonly http: ListenAddress
  /** The same as `http` where nothing is said: the protocols are told apart. */
  readonly grpc?: ListenAddress | undefined
  readonly gate: Gate
  readonly tls?: TlsKeys | undefined
  /** Other processes listen at the same addresses, too. */
  readonly isShared?: boolean
  /** How long what is under way may take after the end was asked for. */
  readonly graceMs?: number
  readonly limits?: ConnectionLimits
  /** Told of each request when it is over. */
  readonly onRequest?: (entry: AccessEntry) => void
  readonly onFault?: (fault: Fault) => void
  /** Asked every few seconds: where it is gone, the server says that it is not ready, and again when it is back. */
  readonly isStoreThere?: () => boolean
}

/** Dispose of it to end: no new work, what is under way finishes within the grace period. */
export interface RunningServer extends AsyncDisposable {
  /** Where tools that speak HTTP find it: `http://127.0.0.1:8377`. */
  readonly url: string
  /** Where those that speak gRPC do: `grpc://127.0.0.1:8377`. */
  readonly grpcUrl: string
}

const GRACE_MS = 10_000
const STORE_LOOK_MS = 2_000

/** Starts to serve; done when the addresses are taken. Throws `usage` when one cannot be had. */
export async function serve(served: Served, options: ServeOptions): Promise<RunningServer> {
  const { tls, graceMs = GRACE_MS } = options
  const server = new CacheServer(served, options)
  try {
    const [http, grpc] = await server.listen()
    return {
      url: urlOf(http, tls === undefined ? 'http' : 'https'),
      grpcUrl: urlOf(grpc, tls === undefined ? 'grpc' : 'grpcs'),
      [Symbol.asyncDispose]: () => server.end(graceMs),
    }
  } catch (error) {
    await server.end(0)
    throw error
  }
}

class CacheServer {
  readonly #served: Served
  readonly #options: ServeOptions
  readonly #services: ReturnType<typeof openServices>
  readonly #connections: Connections
  readonly #listeners: SocketListener[] = []
  #isReady = false
  #looking: NodeJS.Timeout | undefined

  constructor(served: Served, options: ServeOptions) {
    this.#served = served
    this.#options = options
    this.#connections = new Connections(options.limits)
    this.#services = openServices(served, { onFault: (fault) => options.onFault?.(fault) })
  }

  /** For HTTP and for gRPC: where it was found that they are. */
  async listen(): Promise<[http: ListenAddress, grpc: ListenAddress]> {
    const { http, grpc = http } = this.#options
    const isOne = isSameAddress(http, grpc)
    const takeGrpc = this.#grpc()
    const httpAt = await this.#listenAt(http, { http: this.#http(PROTOCOLS), grpc: isOne ? takeGrpc : undefined })
    const grpcAt = isOne ? httpAt : await this.#listenAt(grpc, { http: this.#http([]), grpc: takeGrpc })
    this.#become(true)
    this.#lookAfterStore()
    return [httpAt, grpcAt]
  }

  async end(graceMs: number): Promise<void> {
    clearInterval(this.#looking)
    this.#isReady = false
    this.#services.end()
    await Promise.all(this.#listeners.map((listener) => listener.stop()))
    await this.#connections.close(graceMs)
    await this.#services[Symbol.asyncDispose]()
  }

  #become(isReady: boolean): void {
    this.#isReady = isReady
    if (isReady) this.#services.begin()
    else this.#services.pause()
  }

  #lookAfterStore(): void {
    const { isStoreThere, onFault } = this.#options
    if (isStoreThere === undefined) return
    const look = () => {
      const isThere = isStoreThere()
      if (isThere === this.#isReady) return
      this.#become(isThere)
      if (!isThere) onFault?.({ protocol: 'store', error: gone() })
    }
    this.#looking = setInterval(look, STORE_LOOK_MS).unref()
  }

  async #listenAt(address: ListenAddress, answering: Answering): Promise<ListenAddress> {
    const { tls, isShared = false } = this.#options
    const take = speaking(this.#connections, answering)
    const listener = await listenForSockets(address, take, { ...(tls !== undefined && { tls }), isShared })
    this.#listeners.push(listener)
    return listener.address
  }

  #http(protocols: readonly Protocol[]): Answering['http'] {
    const { gate, onRequest, onFault } = this.#options
    const isReady = () => this.#isReady
    const answers = new HttpAnswers(this.#served, { protocols, gate, isReady, onRequest, onFault })
    return (exchange) => answers.take(exchange)
  }

  #grpc(): Answering['grpc'] {
    const { gate, onRequest, onFault } = this.#options
    const { methods } = this.#services
    const grpc = grpcServer({
      ...{ methods, gate },
      ...(onRequest !== undefined && {
        onCall: ({ headers, ...entry }) => {
          const by = saidIn(headers)
          onRequest(by === undefined ? entry : { ...entry, by })
        },
      }),
      ...(onFault !== undefined && { onFault }),
    })
    return (stream, headers) => grpc.takeGrpc(stream, headers)
  }
}

function gone(): CacheError {
  return new CacheError('store.unusable', 'The cache folder is gone; all that is asked for is missed.', {
    hint: 'Bring it back, or start the server again, which makes another.',
  })
}
