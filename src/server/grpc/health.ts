import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  type HealthCheckRequest,
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../proto/grpc/health/v1/health.ts'
import { type GrpcCall, type GrpcMethod, grpcService } from './service.ts'

type Status = (typeof ServingStatus)[keyof typeof ServingStatus]

/** Says to whoever asks that the server takes work, or does not (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export interface Health {
  readonly methods: readonly GrpcMethod[]
  /** Not before this is called. */
  serve(): void
  /** Not any more, until `serve` is called again. */
  pause(): void
  /** Those who watch are told, and their streams end: a server that goes away waits for no watcher. */
  end(): void
}

/** Of `services` by their full names, and of the server as a whole under the empty one: all serve, or none. */
export function healthService(services: readonly string[]): Health {
  return new ServerHealth(new Set(['', ...services]))
}

class ServerHealth implements Health {
  readonly methods: readonly GrpcMethod[]
  readonly #services: ReadonlySet<string>
  #state: 'waiting' | 'serving' | 'ended' = 'waiting'
  #changed: PromiseWithResolvers<void> = Promise.withResolvers()

  constructor(services: ReadonlySet<string>) {
    this.#services = services
    this.methods = grpcService(HealthDefinition, {
      check: ['none', async (request) => ({ status: this.#checked(request) })],
      watch: ['none', (request, call) => this.#watched(request, call)],
    })
  }

  serve(): void {
    this.#become('serving')
  }

  pause(): void {
    this.#become('waiting')
  }

  end(): void {
    this.#become('ended')
  }

  #become(state: 'waiting' | 'serving' | 'ended'): void {
    this.#state = state
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  #checked(request: HealthCheckRequest): Status {
    const status = this.#statusOf(request)
    if (status === ServingStatus.SERVICE_UNKNOWN)
      throw new GrpcStatus(GrpcCode.NOT_FOUND, 'No service of that name is here.')
    return status
  }

  async *#watched(request: HealthCheckRequest, { signal }: GrpcCall): AsyncGenerator<{ status: Status }> {
    const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    let told: Status | undefined
    while (!signal.aborted) {
      const changed = this.#changed.promise
      const status = this.#statusOf(request)
      if (status !== told) yield { status }
      told = status
      if (this.#state === 'ended') return
      await Promise.race([changed, gone])
    }
  }

  #statusOf({ service }: HealthCheckRequest): Status {
    if (!this.#services.has(service)) return ServingStatus.SERVICE_UNKNOWN
    return this.#state === 'serving' ? ServingStatus.SERVING : ServingStatus.NOT_SERVING
  }
}
