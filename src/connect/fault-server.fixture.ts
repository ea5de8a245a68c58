import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { GREETING_PATH, greeting } from '../server/greeting.ts'

export interface FaultServer extends AsyncDisposable {
  readonly url: string
  /** Of requests that were no greeting. */
  readonly asked: string[]
}

/** Greets as a recue does, and then does what the test says. */
export async function faultServer(answer: RequestListener): Promise<FaultServer> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    if (request.url === GREETING_PATH) {
      const { status, headers, body } = greeting('write')
      response.writeHead(status, headers).end(body)
      return
    }
    asked.push(`${request.method} ${request.url}`)
    answer(request, response)
  })
  return { ...(await listening(server)), asked }
}

/** Takes connections and never says a word. */
export async function blackHole(): Promise<FaultServer> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** An address at which nothing listens, as far as anybody can know. */
export async function nowhere(): Promise<string> {
  await using server = await blackHole()
  return server.url
}

async function listening(server: Server): Promise<{ url: string } & AsyncDisposable> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
