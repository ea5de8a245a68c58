import type { ServerHttp2Session, ServerOptions } from 'node:http2'

/**
 * How much of one upload may be on its way, unread: with HTTP/2's own 64 KiB a far client waits for each of them. It is
 * also the most that a call holds whose handler does not read; both runtimes give leave to send for the connection as a
 * whole whether anybody reads or not.
 */
export const STREAM_WINDOW_BYTES = 1024 * 1024
/** Where many are connected, what each may leave unread is less; a build of one client rarely opens more than a few. */
const MANY_CONNECTIONS = 48
const NARROW_WINDOW_BYTES = STREAM_WINDOW_BYTES / 4
/** Bun (1.4.5) opens a stream's window again only after half of the connection's has come on it: that must be less than twice the stream's. */
const CONNECTION_WINDOWS = 1.75

/** The stream window of a connection that comes beside so many others. */
export function windowBytesBeside(connections: number): number {
  return connections < MANY_CONNECTIONS ? STREAM_WINDOW_BYTES : NARROW_WINDOW_BYTES
}

/** For `createServer`, `createSecureServer` and `performServerHandshake`; each session then goes to `tuneSession`. */
export const GRPC_SESSION_OPTIONS: ServerOptions = sessionOptions(STREAM_WINDOW_BYTES)

export function sessionOptions(windowBytes: number): ServerOptions {
  return {
    settings: {
      initialWindowSize: windowBytes,
      maxConcurrentStreams: 256,
      maxHeaderListSize: 32 * 1024,
      enablePush: false,
    },
    /** Megabytes. What is more than this for one connection is refused, stream by stream. */
    maxSessionMemory: 64,
    /**
     * Clients break off uploads of what turns out to be there, thousands in a row; Node's 33 a second against floods of
     * resets would end the connection of an honest one.
     */
    streamResetBurst: 10_000,
    streamResetRate: 2_000,
  }
}

/** The window of the whole connection has no setting; it is opened by hand. */
export function tuneSession(session: ServerHttp2Session, windowBytes: number = STREAM_WINDOW_BYTES): void {
  session.setLocalWindowSize(CONNECTION_WINDOWS * windowBytes)
}
