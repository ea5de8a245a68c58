/** What a worker tells the process that started it, and is told by it. */
export interface Listening {
  readonly kind: 'listening'
  readonly http: string
  readonly grpc: string
  readonly dir: string
}

/** `go`: the first line has been written, others may follow it. `end`: take no new work. */
export type Order = 'go' | 'end'

/** Set for a worker alone: what it is started as stands in its command line otherwise. */
export const WORKER_VARIABLE = 'RECUE_SERVE_WORKER'
