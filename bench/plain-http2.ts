/** `plain-http2.ts BYTES`: gives so many bytes to whoever asks, by HTTP/2 and nothing else; prints its port. Ends with its standard input. */
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { content } from './blob-content.ts'

/** So wide that nobody waits for leave to send. */
export const PLAIN_WINDOW_BYTES = 16 << 20
const CHUNK_BYTES = 256 << 10

if (import.meta.main) {
  const bytes = Number(process.argv[2])
  const chunk = content(CHUNK_BYTES)
  const server = createServer()
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined)
    stream.respond({ ':status': 200, 'content-length': bytes })
    let left = bytes
    const more = () => {
      while (left > 0) {
        const piece = left < chunk.length ? chunk.subarray(0, left) : chunk
        left -= piece.length
        if (!stream.write(piece)) return
      }
      stream.end()
    }
    stream.on('drain', more)
    more()
  })
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
  process.stdin.resume().once('end', () => process.exit())
}
