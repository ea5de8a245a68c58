import type { Said } from './caller.ts'

/** A line of the access log. */
export interface AccessEntry {
  readonly protocol: string
  readonly method: string
  readonly path: string
  readonly instance: string
  /** Of HTTP; of gRPC its own code, where 0 is OK. */
  readonly status: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly durationMs: number
  /** What a client of REAPI says of itself and its work. */
  readonly by?: Said
}

/** What failed while a client was told of a miss. */
export interface Fault {
  readonly protocol: string
  readonly error: unknown
}
