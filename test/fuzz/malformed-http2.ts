import { once } from 'node:events'
import {
  Flag,
  FrameType,
  frame,
  headerBlock,
  number,
  PREFACE,
  requestHeaders,
  SETTINGS,
} from '../../src/server/listen/raw-http2.fixture.ts'
import { opened } from './door.ts'
import { shown, type Verdict } from './findings.ts'
import { mutated } from './odd.ts'
import type { Random } from './random.ts'
import type { Server } from './servers.ts'

interface Sent {
  readonly frames: readonly Uint8Array[]
  readonly preface?: Uint8Array
  readonly mayNotBe?: string
}

const PRIORITY = 2
const PUSH_PROMISE = 5
const WINDOW_UPDATE = 8
const MOST_WINDOW = 2 ** 31 - 1
const ALL = Flag.endStream | Flag.endHeaders

/** HTTP/2 that is none, one connection each: it ends, what it says is in frames, and what was begun on it is not kept. */
export async function malformedHttp2(
  server: Server,
  random: Random,
  isThere: (path: string) => Promise<boolean>,
): Promise<Verdict> {
  const {
    frames,
    preface = PREFACE,
    mayNotBe,
  } = random.pick([
    anyFrames,
    wrongLengths,
    garbledHeaders,
    wrongStreams,
    windows,
    floods,
    oddPseudoHeaders,
    lyingLength,
    brokenOff,
    mutation,
    badPreface,
  ])(random, server)
  const sent = Buffer.concat([preface, ...(random.chance(0.9) ? [SETTINGS] : []), ...frames])
  const socket = await opened(server.grpc, 'h2')
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  const over = Promise.race([once(socket, 'end'), once(socket, 'close')]).catch(() => undefined)
  if (random.chance(0.1)) socket.write(sent, () => socket.destroy())
  else socket.end(sent)
  await over
  socket.destroy()
  const wrong = wrongFrames(Buffer.concat(pieces))
  if (wrong !== undefined) return `${wrong} to ${shown(sent)}`
  return mayNotBe !== undefined && (await isThere(mayNotBe)) ? `${mayNotBe} was kept, by ${shown(sent)}` : undefined
}

function wrongFrames(said: Buffer): Verdict {
  // What is no HTTP/2 from its first byte is taken for HTTP/1.1.
  if (said.length < 9 || said.toString('latin1', 0, 5) === 'HTTP/') return undefined
  if (said[3] !== FrameType.settings) return `the first frame is no SETTINGS: ${shown(said)}`
  for (let at = 0; at + 9 <= said.length; at += 9 + said.readUIntBE(at, 3))
    if (said.readUIntBE(at, 3) > 16_384 || (said[at + 3] as number) > 0x10) return `no frame at ${at}: ${shown(said)}`
  return undefined
}

function request(server: Server, method: string, path: string, more: Record<string, string> = {}): Buffer {
  return requestHeaders(method, path, { ...server.headers, ...more })
}

function anyFrames(random: Random, server: Server): Sent {
  const begun = random.chance(0.5)
    ? [frame(FrameType.headers, Flag.endHeaders, 1, request(server, 'PUT', `/v1/cache/a-${random.hex(8)}`))]
    : []
  return {
    frames: [
      ...begun,
      ...random.list(12, () =>
        frame(
          random.pick([random.below(13), random.below(256)]),
          random.below(256),
          random.pick([0, 1, 1, 2, 3, 5, MOST_WINDOW, 2 ** 32 - 1]),
          random.bytes(80),
        ),
      ),
    ],
  }
}

function wrongLengths(random: Random, server: Server): Sent {
  const one = Buffer.from(
    random.pick([
      frame(FrameType.settings, 0, 0, random.bytes(20)),
      frame(FrameType.ping, 0, 0, random.bytes(12)),
      frame(FrameType.reset, 0, 1, random.bytes(6)),
      frame(WINDOW_UPDATE, 0, 0, random.bytes(6)),
      frame(PRIORITY, 0, 1, random.bytes(8)),
      frame(FrameType.goaway, 0, 0, random.bytes(10)),
      frame(FrameType.headers, 0x2c, 1, Buffer.from([255, 1, 2])),
      frame(FrameType.data, 8, 1, Buffer.from([200, 1])),
      frame(FrameType.headers, ALL, 1, request(server, 'GET', '/healthz')),
      frame(FrameType.data, 0, 1, random.exactly(random.pick([16_385, 20_000, 70_000]))),
      frame(FrameType.settings, 1, 0, random.bytes(6)),
    ]),
  )
  if (random.chance(0.5)) one.writeUIntBE(random.pick([0, 1, 0xffffff, 16_385, random.below(64)]), 0, 3)
  return {
    frames: [frame(FrameType.headers, Flag.endHeaders, 1, request(server, 'PUT', `/v1/cache/w-${random.hex(8)}`)), one],
  }
}

function garbledHeaders(random: Random, server: Server): Sent {
  const block = random.pick([
    random.bytes(120),
    Buffer.from([0x3f, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.from([0x80]),
    Buffer.from([0xc0]),
    Buffer.from([0x00, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]),
    Buffer.from([0x00, 0x7f, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.concat(Array.from({ length: 200 }, () => Buffer.from([0x20, 0x3f, 0xe1, 0x1f]))),
    mutated(random, request(server, 'GET', '/healthz')),
    headerBlock({ 'x-large': 'x'.repeat(15_000) }),
  ])
  const cut = random.below(block.length + 1)
  const isCut = random.chance(0.5)
  return {
    frames: isCut
      ? [
          frame(FrameType.headers, Flag.endStream, 1, block.subarray(0, cut)),
          ...random.list(3, () => frame(FrameType.continuation, 0, 1)),
          frame(FrameType.continuation, Flag.endHeaders, random.pick([1, 1, 3]), block.subarray(cut)),
        ]
      : [frame(FrameType.headers, ALL, 1, block), frame(FrameType.headers, ALL, 3, random.bytes(30))],
  }
}

function wrongStreams(random: Random, server: Server): Sent {
  const get = request(server, 'GET', '/healthz')
  const whole = (id: number) => frame(FrameType.headers, ALL, id, get)
  return {
    frames: random.pick([
      [whole(1), whole(1)],
      [whole(5), whole(3)],
      [whole(2)],
      [whole(0)],
      [whole(1), frame(FrameType.data, 1, 1, random.bytes(9))],
      [frame(FrameType.data, 1, 7, random.bytes(9))],
      [frame(FrameType.reset, 0, 9, number(8))],
      [whole(1), frame(FrameType.reset, 0, 1, number(8)), frame(FrameType.data, 0, 1, random.bytes(5))],
      [frame(FrameType.continuation, 4, 1, get)],
      [frame(FrameType.headers, 1, 1, get), frame(FrameType.ping, 0, 0, Buffer.alloc(8))],
      [frame(PUSH_PROMISE, 4, 1, Buffer.concat([number(2), get]))],
      [frame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 1, 0])), whole(1)],
      [whole(MOST_WINDOW), whole(1)],
      [frame(FrameType.headers, Flag.endHeaders, 1, get), frame(FrameType.headers, Flag.endHeaders, 1, get)],
      [
        frame(FrameType.headers, Flag.endHeaders, 1, get),
        frame(FrameType.headers, ALL, 1, headerBlock({ ':path': '/x' })),
      ],
      Array.from({ length: 300 }, (_, i) => whole(2 * i + 1)),
    ]),
  }
}

function windows(random: Random, server: Server): Sent {
  const id = random.pick([0, 1])
  const begun = frame(FrameType.headers, ALL, 1, request(server, 'GET', '/healthz'))
  const open = frame(WINDOW_UPDATE, 0, id, number(MOST_WINDOW))
  const initial = (size: number) => frame(FrameType.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), number(size)]))
  return {
    frames: random.pick([
      [begun, open, open],
      [begun, frame(WINDOW_UPDATE, 0, id, number(0))],
      [initial(2 ** 31), begun],
      [initial(MOST_WINDOW), open, begun, open],
      [initial(0), begun],
      [begun, initial(MOST_WINDOW), open],
      [frame(FrameType.settings, 0, 0, Buffer.concat([Buffer.from([0, 5]), number(random.next())])), begun],
      [frame(FrameType.settings, 0, 0, Buffer.concat([Buffer.from([0, 2]), number(2)])), begun],
    ]),
  }
}

function floods(random: Random, server: Server): Sent {
  const one = random.pick<(i: number) => Buffer>([
    () => frame(FrameType.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100])),
    () => frame(FrameType.ping, 0, 0, Buffer.alloc(8)),
    () => frame(FrameType.settings, 1, 0),
    () => frame(FrameType.ping, 1, 0, Buffer.alloc(8)),
    (i) => frame(FrameType.headers, Flag.endHeaders, 2 * i + 1, request(server, 'PUT', `/v1/cache/f-${i}`)),
    (i) => frame(WINDOW_UPDATE, 0, 0, number(1 + i)),
    (i) => frame(PRIORITY, 0, 2 * i + 1, Buffer.from([0, 0, 0, 0, 5])),
    (i) =>
      Buffer.concat([
        frame(FrameType.headers, ALL, 2 * i + 1, request(server, 'GET', '/healthz')),
        frame(FrameType.reset, 0, 2 * i + 1, number(8)),
      ]),
    (i) =>
      i === 0
        ? frame(FrameType.headers, 0, 1, request(server, 'GET', '/healthz'))
        : frame(FrameType.continuation, 0, 1, headerBlock({ [`x-${i}`]: 'a'.repeat(400) })),
  ])
  return { frames: Array.from({ length: 20 + random.below(180) }, (_, i) => one(i)) }
}

function oddPseudoHeaders(random: Random, server: Server): Sent {
  const base: [string, string][] = [
    [':method', 'GET'],
    [':path', '/healthz'],
    [':scheme', 'http'],
    [':authority', 'x'],
    ...Object.entries(server.headers),
  ]
  const at = random.below(4)
  const odd = random.pick<[string, string]>([
    [':path', ''],
    [':path', 'x'],
    [':path', '*'],
    [':path', '\u0000'],
    [':path', `/${'a'.repeat(9_000)}`],
    [':method', ''],
    [':method', 'CONNECT'],
    [':method', 'G T'],
    [':scheme', ''],
    [':scheme', 'x:'],
    [':status', '200'],
    [':odd', 'x'],
    ['X-Upper', 'x'],
    ['connection', 'keep-alive'],
    ['te', 'gzip'],
    ['transfer-encoding', 'chunked'],
    ['content-length', '-1'],
    ['content-length', 'x'],
    ['content-length', '99999999999999999999'],
    ['', 'x'],
    ['a b', 'x'],
    ['x', 'a\r\nb: c'],
    ['x', '\u0000'],
    ['host', 'other'],
    ['cookie', 'x'.repeat(9_000)],
    [':path', '//['],
    [':authority', '[::1'],
    ['content-type', 'application/grpc'],
    ['content-type', 'application/grpcx'],
    ['__proto__', 'x'],
  ])
  if (random.chance(0.5)) base.splice(at, 1, odd)
  else base.splice(random.below(base.length + 1), 0, odd)
  const block = Buffer.concat(base.map(([name, value]) => headerBlock({ [name]: value })))
  return {
    frames: [
      frame(FrameType.headers, random.chance(0.7) ? ALL : Flag.endHeaders, 1, block),
      ...random.list(2, () => frame(FrameType.data, 1, 1, random.bytes(20))),
    ],
  }
}

/** Another length is announced than comes. */
function lyingLength(random: Random, server: Server): Sent {
  const path = `/v1/cache/n-${random.hex(12)}`
  const data = random.bytes(100)
  const announced = String(Math.max(0, data.length + random.pick([1, -1, 1_000, 2 ** 40])))
  const isTrue = Number(announced) === data.length
  return {
    frames: [
      frame(FrameType.headers, Flag.endHeaders, 1, request(server, 'PUT', path, { 'content-length': announced })),
      frame(FrameType.data, 1, 1, data),
    ],
    ...(!isTrue && { mayNotBe: path }),
  }
}

/** An upload that is reset, or ends with its connection. */
function brokenOff(random: Random, server: Server): Sent {
  const path = `/v1/cache/b-${random.hex(12)}`
  const end = random.pick([
    [frame(FrameType.reset, 0, 1, number(random.below(14)))],
    [],
    [frame(FrameType.goaway, 0, 0, Buffer.alloc(8))],
    [random.bytes(30)],
  ])
  return {
    frames: [
      frame(FrameType.headers, Flag.endHeaders, 1, request(server, 'PUT', path)),
      ...random.list(4, () => frame(FrameType.data, 0, 1, random.bytes(500))),
      ...end,
    ],
    mayNotBe: path,
  }
}

function mutation(random: Random, server: Server): Sent {
  const call = request(server, 'POST', '/google.bytestream.ByteStream/Write', {
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  const whole = Buffer.concat([
    frame(FrameType.headers, Flag.endHeaders, 1, call),
    frame(FrameType.data, 1, 1, Buffer.from([0, 0, 0, 0, 2, 0x18, 1])),
    frame(FrameType.headers, ALL, 3, request(server, 'GET', '/v1/cache/x')),
  ])
  return { frames: [mutated(random, whole)] }
}

function badPreface(random: Random): Sent {
  return {
    preface: random.pick([
      mutated(random, PREFACE),
      PREFACE.subarray(0, random.below(PREFACE.length)),
      Buffer.from('PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n'),
      Buffer.from('PRIX'),
      random.bytes(30),
    ]),
    frames: random.list(2, () => random.bytes(40)),
  }
}
