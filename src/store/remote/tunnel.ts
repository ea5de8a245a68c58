import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { CacheError } from '../../errors.ts'
import { connectionFault } from './connection-fault.ts'
import type { RemoteServer } from './remote-server.ts'
import { Waiting } from './waiting.ts'

const MOST_ANSWER_BYTES = 16 << 10

/**
 * A connection to a server by way of its proxy, with TLS to the server where its address says so: CONNECT, RFC 9110 section 9.3.6. What the
 * server is shown, the proxy does not see. Throws CacheError.
 */
export async function tunnelTo(
  server: RemoteServer,
  proxy: URL,
  options: { readonly connectMs: number; readonly protocol: 'gRPC' | 'HTTP' },
): Promise<Socket> {
  const socket = connected(proxy)
  const fault = Promise.withResolvers<never>()
  fault.promise.catch(() => undefined)
  using waiting = new Waiting(options.connectMs, () =>
    fault.reject(refused(server, proxy, `no answer within ${options.connectMs / 1000} s`)),
  )
  const onError = (error: Error) => fault.reject(refused(server, proxy, error.message, error))
  const onClose = () => fault.reject(refused(server, proxy, 'it closed the connection'))
  socket.on('error', onError).on('close', onClose)
  waiting.begin()
  try {
    await Promise.race([openThrough(socket, server, proxy), fault.promise])
    if (server.url.protocol !== 'https:') return socket
    return await Promise.race([secured(socket, server, options.protocol), fault.promise])
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    socket.off('error', onError).off('close', onClose)
  }
}

function connected(proxy: URL): Socket {
  const host = proxy.hostname.replace(/^\[|\]$/g, '')
  const isSecure = proxy.protocol === 'https:'
  const port = Number(proxy.port || (isSecure ? 443 : 80))
  return isSecure ? connectTls({ host, port, servername: host }) : connectPlain({ host, port })
}

async function openThrough(socket: Socket, server: RemoteServer, proxy: URL): Promise<void> {
  const { hostname, port, protocol } = server.url
  const target = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
  const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`, ...authorization(proxy)]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const answer = await headOf(socket, () => refused(server, proxy, 'it does not speak HTTP'))
  const [, status = ''] = /^HTTP\/1\.[01] (\d{3})/.exec(answer) ?? []
  if (/^2/.test(status)) return
  const line = answer.split('\r\n')[0]?.slice(0, 100) ?? ''
  throw refused(server, proxy, status === '407' ? 'it asks for a name and a password (407)' : `it answered "${line}"`)
}

function authorization({ username, password }: URL): string[] {
  if (username === '' && password === '') return []
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return [`Proxy-Authorization: Basic ${Buffer.from(pair).toString('base64')}`]
}

/** All before the empty line; what came after it is the server's own, and put back. */
function headOf(socket: Socket, tooMuch: () => CacheError): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let head = Buffer.alloc(0)
  const take = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1 && head.length <= MOST_ANSWER_BYTES) return
    socket.off('data', take)
    socket.pause()
    if (end === -1) return reject(tooMuch())
    if (head.length > end + 4) socket.unshift(head.subarray(end + 4))
    resolve(head.subarray(0, end).toString('latin1'))
  }
  socket.on('data', take)
  return promise
}

function secured(socket: Socket, server: RemoteServer, protocol: 'gRPC' | 'HTTP'): Promise<Socket> {
  const { url, tls } = server
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const servername = url.hostname.replace(/^\[|\]$/g, '')
  const isName = !/^[\d.]+$|:/.test(servername)
  const inner = connectTls({
    ...tls,
    socket,
    ...(isName && { servername }),
    host: servername,
    ...(protocol === 'gRPC' && { ALPNProtocols: ['h2'] }),
  })
  const fail = (error: Error) => reject(connectionFault(server, protocol, error))
  inner.once('error', fail).once('secureConnect', () => {
    inner.off('error', fail)
    resolve(inner)
  })
  return promise
}

function refused({ place }: RemoteServer, proxy: URL, what: string, cause?: unknown): CacheError {
  return new CacheError('remote.unreachable', `The proxy ${proxy.host} does not lead to ${place}: ${what}.`, {
    hint: 'HTTPS_PROXY and HTTP_PROXY name it; what needs none is listed in NO_PROXY.',
    context: { server: place, proxy: proxy.host },
    ...(cause !== undefined && { cause }),
  })
}
