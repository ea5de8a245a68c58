import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** HTTP/2 frame by frame, for what no honest client would send. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
export const SETTINGS = frame(4, 0, 0)

export const FrameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, continuation: 9 } as const
export const Flag = { endStream: 1, ack: 1, endHeaders: 4 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** HPACK without its tables. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

export function requestHeaders(method: string, path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  return headerBlock({ ':method': method, ':path': path, ':scheme': 'http', ':authority': 'localhost', ...more })
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export interface RawConnection {
  readonly socket: Socket
  readonly frames: Frame[]
  /** The first frame of that kind, when it has come; undefined when the connection ended before. */
  frameOf(type: number, stream?: number): Promise<Frame | undefined>
  readonly closed: Promise<void>
}

/** A connection that has said hello. */
export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const frames: Frame[] = []
  let rest = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const end = 9 + rest.readUIntBE(0, 3)
      const [type = 0, flags = 0] = rest.subarray(3, 5)
      frames.push({ type, flags, stream: rest.readUInt32BE(5), payload: rest.subarray(9, end) })
      rest = rest.subarray(end)
    }
    socket.emit('frames')
  })
  socket.once('close', () => socket.emit('frames'))
  await once(socket, 'connect')
  socket.write(Buffer.concat([PREFACE, SETTINGS]))
  return {
    socket,
    frames,
    closed,
    async frameOf(type, stream) {
      for (;;) {
        const found = frames.find((one) => one.type === type && (stream === undefined || one.stream === stream))
        if (found !== undefined || socket.destroyed) return found
        await new Promise((resolve) => socket.once('frames', resolve))
      }
    },
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  for (let left = bytes.length - 127; ; left >>= 7) {
    length.push(left < 128 ? left : (left & 127) | 128)
    if (left < 128) return Buffer.concat([Buffer.from(length), bytes])
  }
}
