/**
 * A real client of one of the server's protocols, and a small project which it builds in three steps, each with what the one
 * before made. The scenarios that each goes through are in `scenarios.ts`.
 */
export interface Client {
  /** With its variant, where it has several: `ccache, flat`. */
  readonly name: string
  readonly protocol: string
  /** Why it cannot run on this machine: `ccache is not installed`. */
  missing(): string | undefined
  /**
   * A checkout with nothing built. The same for the same `during`, a line of shell that the second step runs, so that
   * something can happen in the middle of a build.
   */
  write(root: string, during: string): void | Promise<void>
  /** Builds all, with no cache of its own; `remote` undefined: with no cache at all. */
  build(root: string, remote: Remote | undefined): Promise<Built>
  /** What the steps make, relative to the root: the same from the cache and without. */
  readonly outputs: readonly string[]
  /** The scenarios that it is taken through, where its builds take too long for all of them. */
  readonly only?: readonly Scenario[]
  /** Ends what a build leaves running. */
  leave?(root: string): Promise<unknown>
  /** Why its build may fail where nothing answers at all; it then goes through a front, which is tested with `recue connect`. */
  readonly needsFront?: string
}

/** Where the server is, and who asks. */
export interface Remote {
  /** `http://127.0.0.1:PORT` */
  readonly http: string
  readonly token: string
}

/** What a build came to, counted from the client's own words. */
export interface Built {
  readonly status: number | null
  /** All that it printed. */
  readonly said: string
  /** Steps whose results came from the server. */
  readonly hits: number
  /** Steps that were done here. */
  readonly misses: number
}

export const STEPS = 3

export type Scenario = (typeof SCENARIOS)[number]

/** In the order of the table. */
export const SCENARIOS = [
  'cold build fills',
  'clean build hits',
  'on Node',
  'server restarted',
  'server killed during',
  'entries evicted',
  'entries corrupted',
  'wrong token',
  'token that reads',
] as const
