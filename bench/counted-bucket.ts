import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** As S3 bills them: what writes or lists, and what reads. */
export interface S3Requests {
  readonly writes: number
  readonly reads: number
}

/** A bucket in the memory of this process, which counts what it is asked for. */
export interface CountedBucket extends AsyncDisposable {
  /** For `--cas`. */
  readonly address: string
  counted(): S3Requests
}

export async function countedBucket(): Promise<CountedBucket> {
  const objects = new Map<string, Buffer>()
  let [writes, reads] = [0, 0]
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url: key = '' } = request
    if (method === 'GET' || method === 'HEAD') {
      if (key.includes('list-type=')) writes++
      else reads++
      const object = objects.get(key)
      if (object === undefined) response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>')
      else response.writeHead(200, { 'content-length': object.length }).end(method === 'HEAD' ? undefined : object)
      return
    }
    writes++
    objects.set(key, Buffer.concat(await request.toArray()))
    response.end()
  }
  const server = createServer((request, response) => void answer(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `s3://bucket/build?endpoint=http://127.0.0.1:${port}`,
    counted: () => ({ writes, reads }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
