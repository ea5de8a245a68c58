import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export interface Proxy extends AsyncDisposable {
  readonly port: number
}

/** What is said in place of the server. */
export interface Refusal {
  readonly status: number
  /** As S3 says why. */
  readonly code: string
}

/** Passes requests on to a server of S3, but those of which it is said what to answer. */
export async function refusingProxy(
  target: string,
  refusalOf: (request: IncomingMessage) => Refusal | undefined,
): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  const server = createHttp(async (asked, answer) => {
    asked.on('error', () => undefined)
    answer.on('error', () => undefined)
    const refusal = refusalOf(asked)
    if (refusal !== undefined) {
      asked.resume()
      await once(asked, 'close')
      answer.writeHead(refusal.status, { 'content-type': 'application/xml' })
      answer.end(asked.method === 'HEAD' ? '' : `<Error><Code>${refusal.code}</Code></Error>`)
      return
    }
    const { method, url, headers } = asked
    const passed = request({ hostname, port, method, path: url, headers }, (said) => {
      answer.writeHead(said.statusCode ?? 500, said.headers)
      said.pipe(answer)
    })
    passed.on('error', () => answer.destroy())
    asked.pipe(passed)
  })
  const sockets = gathered(server)
  return listening(server, sockets)
}

/** Passes bytes on to a port; what comes back is late. */
export async function lateProxy(port: number, lateMs: number): Promise<Proxy> {
  const server = createServer((client) => {
    const there = connect(port, '127.0.0.1')
    client.on('error', () => there.destroy()).once('close', () => there.destroy())
    there.on('error', () => client.destroy()).once('close', () => client.destroy())
    client.pipe(there)
    there.on('data', (piece) => setTimeout(() => client.writable && client.write(piece), lateMs))
  })
  return listening(server, gathered(server))
}

function gathered(server: Server): Set<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

async function listening(server: Server, sockets: ReadonlySet<Socket>): Promise<Proxy> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
