import type { ServerHttp2Session, SessionOptions } from 'node:http2'

/** How much of one upload may be on its way, unread. HTTP/2's own 64 KiB make a far client wait for each of them. */
export const STREAM_WINDOW_BYTES = 2 * 1024 * 1024
const CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024

/** For `createServer`, `createSecureServer` and `performServerHandshake`; each session then goes to `tuneSession`. */
export const GRPC_SESSION_OPTIONS: SessionOptions = {
  settings: {
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxConcurrentStreams: 1000,
    maxHeaderListSize: 32 * 1024,
    enablePush: false,
  },
  /** Megabytes. What is more than this for one connection is refused, stream by stream. */
  maxSessionMemory: 64,
}

/** The window of the whole connection has no setting; it is opened by hand. */
export function tuneSession(session: ServerHttp2Session): void {
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
}
