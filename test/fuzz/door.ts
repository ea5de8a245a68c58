import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Where one of the servers listens, and how it is come in by. */
export interface Door {
  readonly name: string
  readonly target: { readonly port: number } | { readonly path: string }
  /** The certificate to trust, where it speaks TLS. */
  readonly ca?: string
}

export function open({ target, ca }: Door, alpn: 'http/1.1' | 'h2' = 'http/1.1'): Socket {
  const to = 'port' in target ? { host: '127.0.0.1', ...target } : target
  const options = { ...to, allowHalfOpen: true, noDelay: true }
  const socket =
    ca === undefined ? connect(options) : connectTls({ ...options, ca, servername: 'localhost', ALPNProtocols: [alpn] })
  socket.on('error', () => undefined)
  return socket
}

export async function opened(door: Door, alpn: 'http/1.1' | 'h2' = 'http/1.1'): Promise<Socket> {
  const socket = open(door, alpn)
  await once(socket, door.ca === undefined ? 'connect' : 'secureConnect')
  return socket
}

export function http2Session(door: Door): ClientHttp2Session {
  const session = connectHttp2('http://localhost', {
    createConnection: () => open(door, 'h2'),
    settings: { initialWindowSize: 1 << 20 },
  })
  session.on('error', () => undefined)
  return session
}
