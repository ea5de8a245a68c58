import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Connection, type ConnectionLimits, type ConnectionProtocol, Connections } from './connections.ts'

const LIMITS: ConnectionLimits = {
  firstRequestMs: 15_000,
  idleMs: 120_000,
  stalledMs: 60_000,
  leastBytes: 1024,
  mostConnections: 3,
}
/** Sweeps come three times as often as the shortest limit. */
const SWEEP_MS = 5_000

let connections: Connections
let clients: Socket[]
let listener: ReturnType<typeof createServer>
let added: (Connection | undefined)[]

beforeEach(async () => {
  // Sockets are real, and only they tell time by the others.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  connections = new Connections(LIMITS)
  ;[clients, added] = [[], []]
  listener = createServer({ allowHalfOpen: true }, (socket) => {
    added.push(connections.add(socket))
    socket.resume()
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
})
afterEach(async () => {
  for (const client of clients) client.destroy()
  listener.close()
  await connections.close(0)
  vi.useRealTimers()
})

/** A client, and its connection as the server has it. */
async function connected(): Promise<{ client: Socket; connection: Connection; isClosed: () => boolean }> {
  const client = connect((listener.address() as { port: number }).port, '127.0.0.1')
  client.on('error', () => undefined)
  client.resume()
  clients.push(client)
  const before = added.length
  await once(client, 'connect')
  while (added.length === before) await turn()
  return { client, connection: added.at(-1) as Connection, isClosed: () => connectionOf(before).socket.destroyed }
}

const connectionOf = (index: number) => added[index] as Connection
const turn = () => new Promise((resolve) => setImmediate(resolve))
const pass = (ms: number) => vi.advanceTimersByTime(ms)

/** Sends so many bytes, and waits until they are there. */
async function send({ client, connection }: { client: Socket; connection: Connection }, bytes: number): Promise<void> {
  const { bytesRead } = connection.socket
  client.write(Buffer.alloc(bytes))
  while (connection.socket.bytesRead < bytesRead + bytes) await turn()
}

interface Recorded {
  readonly protocol: ConnectionProtocol
  readonly calls: string[]
  /** Answers the last ping. */
  answer(): void
}

function recorded(withPing: boolean): Recorded {
  const calls: string[] = []
  let answer: () => void = () => undefined
  const ping = (onAnswer: () => void) => {
    calls.push('ping')
    answer = onAnswer
  }
  return {
    protocol: { close: () => void calls.push('close'), ...(withPing && { ping }) },
    calls,
    answer: () => answer(),
  }
}

describe('over HTTP/1.1', () => {
  test('who does not come to a first request is closed, however busily it sends', async () => {
    const one = await connected()
    one.connection.speaks(recorded(false).protocol)
    await send(one, 5_000)
    pass(LIMITS.firstRequestMs)
    expect(one.isClosed()).toBe(false)
    await send(one, 5_000)
    pass(SWEEP_MS)
    expect(one.isClosed()).toBe(true)
  })

  test('who asks nothing more is closed after a while', async () => {
    const one = await connected()
    one.connection.speaks(recorded(false).protocol)
    one.connection.begin()
    pass(SWEEP_MS)
    one.connection.end()
    pass(LIMITS.idleMs)
    await turn()
    expect(one.isClosed()).toBe(false)
    pass(SWEEP_MS)
    await once(one.connection.socket, 'close')
  })

  test('a request lives as long as enough moves, and no longer', async () => {
    const one = await connected()
    one.connection.speaks(recorded(false).protocol)
    one.connection.begin()
    for (let i = 0; i < 5; i++) {
      await send(one, LIMITS.leastBytes)
      pass(LIMITS.stalledMs + SWEEP_MS)
      expect(one.isClosed()).toBe(false)
    }
    await send(one, LIMITS.leastBytes - 1)
    pass(LIMITS.stalledMs + SWEEP_MS)
    expect(one.isClosed()).toBe(true)
  })

  test('what is sent counts like what comes', async () => {
    const one = await connected()
    one.connection.speaks(recorded(false).protocol)
    one.connection.begin()
    one.connection.socket.write(Buffer.alloc(LIMITS.leastBytes))
    pass(LIMITS.stalledMs + SWEEP_MS)
    expect(one.isClosed()).toBe(false)
  })
})

describe('over HTTP/2', () => {
  test('a client that has not said all of its greeting has no more time than one that says nothing', async () => {
    const one = await connected()
    one.connection.speaks(recorded(true).protocol)
    pass(LIMITS.firstRequestMs + SWEEP_MS)
    expect(one.isClosed()).toBe(true)
  })

  test('a connection without requests is seen off by its protocol', async () => {
    const one = await connected()
    const { protocol, calls } = recorded(true)
    one.connection.speaks(protocol)
    one.connection.greeted()
    pass(LIMITS.idleMs)
    expect(calls).toEqual([])
    pass(SWEEP_MS)
    expect(calls).toEqual(['close'])
    expect(one.isClosed()).toBe(false)
  })

  test.each(['an answer', 'a byte'])('one that is silent is asked, and lives by %s', async (sign) => {
    const one = await connected()
    const { protocol, calls, answer } = recorded(true)
    one.connection.speaks(protocol)
    one.connection.begin()
    for (let i = 1; i <= 3; i++) {
      pass(LIMITS.stalledMs + SWEEP_MS)
      expect(calls).toHaveLength(i)
      if (sign === 'an answer') answer()
      else await send(one, 1)
      pass(LIMITS.stalledMs)
      expect(one.isClosed()).toBe(false)
      if (sign === 'a byte') pass(SWEEP_MS)
    }
    expect(calls).toEqual(['ping', 'ping', 'ping'])
  })

  test('one that does not answer is closed, whatever we have sent', async () => {
    const one = await connected()
    const { protocol, calls } = recorded(true)
    one.connection.speaks(protocol)
    one.connection.begin()
    pass(LIMITS.stalledMs + SWEEP_MS)
    one.connection.socket.write(Buffer.alloc(5_000))
    expect([calls, one.isClosed()]).toEqual([['ping'], false])
    pass(LIMITS.stalledMs + SWEEP_MS)
    expect(one.isClosed()).toBe(true)
  })

  test('only the last of several streams makes it idle', async () => {
    const one = await connected()
    const { protocol, calls } = recorded(true)
    one.connection.speaks(protocol)
    one.connection.begin()
    one.connection.begin()
    const ended = connections.close(10_000)
    one.connection.end()
    expect(calls).toEqual(['close'])
    one.connection.end()
    expect(calls).toEqual(['close', 'close'])
    one.connection.socket.destroy()
    await ended
  })
})

test('more connections than may be are closed as they come, and there is room again when one ends', async () => {
  const some = [await connected(), await connected(), await connected()]
  const fourth = connect((listener.address() as { port: number }).port, '127.0.0.1')
  fourth.on('error', () => undefined)
  clients.push(fourth)
  await once(fourth, 'close')
  expect([connections.count, added[3]]).toEqual([3, undefined])
  some[0]?.client.destroy()
  while (connections.count === 3) {
    some[0]?.connection.socket.destroy()
    await turn()
  }
  expect((await connected()).isClosed()).toBe(false)
})

describe('at the end', () => {
  test('who is idle is closed, who is not may finish, and nobody else comes in', async () => {
    const [idle, busy] = [await connected(), await connected()]
    for (const { connection } of [idle, busy]) connection.speaks(recorded(false).protocol)
    busy.connection.begin()
    let isOver = false
    const ended = connections.close(10_000).then(() => {
      isOver = true
    })
    await once(idle.connection.socket, 'close')
    expect([busy.isClosed(), isOver]).toEqual([false, false])
    const late = connect((listener.address() as { port: number }).port, '127.0.0.1')
    late.on('error', () => undefined)
    clients.push(late)
    await once(late, 'close')
    busy.connection.end()
    await ended
    expect(busy.isClosed()).toBe(true)
  })

  test('who does not finish is cut', async () => {
    const busy = await connected()
    busy.connection.speaks(recorded(false).protocol)
    busy.connection.begin()
    await connections.close(5)
    expect(busy.isClosed()).toBe(true)
  })
})
