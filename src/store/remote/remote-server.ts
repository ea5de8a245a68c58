/** A server that keeps a cache, how it is reached, and what is shown to it. */
export interface RemoteServer {
  /** `http:` or `https:`; of a Unix socket, `http://localhost`. A path stands before all others, where paths are ours to choose. */
  readonly url: URL
  readonly socketPath?: string
  /** For messages: no secret is in it. */
  readonly place: string
  /** Sent with every request: `authorization` and the like. */
  readonly headers: Readonly<Record<string, string>>
  /** Those that change, such as credentials that expire: asked for before each request. */
  readonly freshHeaders?: (() => Promise<Readonly<Record<string, string>>>) | undefined
  readonly tls: RemoteTls
  /** What the way leads through, by CONNECT; `http:` or `https:`. Its name and password are shown to it alone. */
  readonly proxy?: URL | undefined
}

/** PEM texts: whom to trust instead of the system's own, and what to show to a server that asks who calls. */
export interface RemoteTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** How long a server is waited for. Who wants less patience for one call gives it a signal. */
export interface Patience {
  /** Until a connection stands, and the server has said its first word where its protocol has it speak unasked. */
  readonly connectMs: number
  /** While nothing moves on a call. */
  readonly idleMs: number
}
