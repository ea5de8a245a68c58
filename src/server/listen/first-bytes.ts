import type { Socket } from 'node:net'

/** No method of HTTP/1.1 begins so: RFC 9113, section 3.4. */
const HTTP2_PREFACE = 'PRI'

/**
 * Tells by the first bytes which HTTP a client speaks, and leaves the bytes for who is to read them. A client that goes
 * away before has told nothing, and `tell` is not called.
 */
export function tellProtocol(socket: Socket, tell: (protocol: 'http1' | 'http2') => void): void {
  let seen: Buffer = Buffer.alloc(0)
  const look = () => {
    const bytes = socket.read() as Buffer | null
    if (bytes === null) return
    seen = seen.length === 0 ? bytes : Buffer.concat([seen, bytes])
    const start = seen.toString('latin1', 0, HTTP2_PREFACE.length)
    if (HTTP2_PREFACE.startsWith(start) && start.length < HTTP2_PREFACE.length) return
    socket.off('readable', look).off('end', goAway)
    socket.unshift(seen)
    tell(start === HTTP2_PREFACE ? 'http2' : 'http1')
  }
  const goAway = () => socket.destroy()
  socket.on('readable', look).once('end', goAway)
}
