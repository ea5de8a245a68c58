import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { CacheError } from '../../../errors.ts'
import { connectionFault, notSpoken, timedOut } from '../connection-fault.ts'
import type { Patience } from '../remote-server.ts'
import { Waiting } from '../waiting.ts'
import type { RedisServer } from './redis-address.ts'
import { replyFault, requireOk } from './redis-fault.ts'
import {
  type Argument,
  encodedCommand,
  isReplyError,
  NotRedis,
  type Reply,
  type ReplyError,
  ReplyParser,
} from './resp.ts'

/** A result with all that may stand in it, and what lies around it. */
const MOST_OTHER_BYTES = 9 << 20

interface Asked {
  readonly answer: (reply: Reply) => void
  readonly fail: (error: unknown) => void
}

/** Commands and their answers on one socket, in order. It keeps the process alive only while an answer is waited for. */
export class RedisConnection {
  /** Until it has been let in, and has its database: before that nothing may be asked. */
  readonly ready: Promise<void>
  readonly #server: RedisServer
  readonly #socket: Socket
  readonly #parser: ReplyParser
  readonly #asked: Asked[] = []
  readonly #connecting: Waiting
  readonly #waiting: Waiting
  #outgoing: Buffer[] = []
  #fault: unknown
  #isReady = false
  #isRetired = false
  #lastWords: ReplyError | undefined
  #receivedBytes = 0

  constructor(server: RedisServer, { connectMs, idleMs }: Patience, gone: () => void) {
    this.#server = server
    this.#parser = new ReplyParser(Math.max(MOST_OTHER_BYTES, server.mostBlobBytes))
    this.#connecting = new Waiting(connectMs, () => this.#break(this.#tooLate(connectMs)))
    this.#waiting = new Waiting(idleMs, () => this.#break(timedOut(server, idleMs)))
    this.#connecting.begin()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#socket = connectedTo(server)
    this.#socket.once(server.url.protocol === 'https:' ? 'secureConnect' : 'connect', resolve)
    this.#socket.on('data', (piece: Uint8Array) => this.#hear(piece))
    this.#socket.on('drain', () => this.#asked.length > 0 && this.#waiting.begin())
    this.#socket.on('error', (error) => this.#break(connectionFault(server, 'Redis', error)))
    this.#socket.on('end', () => this.#break(this.#brokenOff()))
    this.#socket.on('close', () => {
      this.#break(this.#brokenOff())
      reject(this.#fault)
      gone()
    })
    this.ready = this.#greet(promise)
    // Whoever waits for it hears of it.
    this.ready.catch(() => undefined)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  get isBroken(): boolean {
    return this.#fault !== undefined
  }

  /** All that has come so far. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** The reply, also where it is an error. Throws when the connection breaks before it. */
  ask(command: Buffer): Promise<Reply> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault)
    if (this.#outgoing.push(command) === 1) process.nextTick(() => this.#flush())
    if (this.#asked.length === 0) {
      this.#socket.ref()
      this.#waiting.begin()
    }
    return new Promise((answer, fail) => this.#asked.push({ answer, fail }))
  }

  /** Takes no more, and goes when all that was asked is answered. */
  retire(): void {
    this.#isRetired = true
    const leave = () => this.#asked.length === 0 && this.destroy()
    if (this.#isReady) leave()
    // Those who wait at the same door ask as soon as it opens, before this is heard of.
    else this.ready.then(leave, () => undefined)
  }

  destroy(): void {
    this.#break(this.#brokenOff())
  }

  async #greet(connected: Promise<void>): Promise<void> {
    const { user, password, database } = this.#server
    try {
      await connected
      if (password !== undefined) await this.#bid(['AUTH', ...(user === undefined ? [] : [user]), password])
      if (database !== 0) await this.#bid(['SELECT', database])
      this.#connecting.end()
      this.#isReady = true
      if (this.#asked.length === 0) this.#socket.unref()
    } catch (error) {
      this.#break(error)
      throw error
    }
  }

  async #bid(args: readonly Argument[]): Promise<void> {
    requireOk(this.#server, await this.ask(encodedCommand(args)))
  }

  /** All that was asked since the last turn in one write. */
  #flush(): void {
    if (this.#fault === undefined) this.#socket.write(joined(this.#outgoing))
    this.#outgoing = []
  }

  #hear(piece: Uint8Array): void {
    this.#receivedBytes += piece.length
    try {
      for (const reply of this.#parser.replies(piece)) this.#give(reply)
    } catch (error) {
      this.#break(error instanceof NotRedis ? notSpoken(this.#server, 'Redis', error.message) : error)
    }
    if (this.#fault !== undefined) return
    if (this.#asked.length > 0) this.#waiting.begin()
    else this.#rest()
  }

  #give(reply: Reply): void {
    this.#lastWords = isReplyError(reply) ? reply : undefined
    const asked = this.#asked.shift()
    // What a server says unasked, as one with too many clients does, is why it will say no more.
    if (asked === undefined)
      throw isReplyError(reply) ? replyFault(this.#server, reply) : new NotRedis('an answer to nothing')
    asked.answer(reply)
  }

  #rest(): void {
    this.#waiting.end()
    if (!this.#isReady) return
    if (this.#isRetired) this.destroy()
    else this.#socket.unref()
  }

  /** A Redis without TLS says nothing to it, ever. */
  #tooLate(ms: number): CacheError {
    const fault = timedOut(this.#server, ms)
    if (this.#server.url.protocol !== 'https:') return fault
    const hint = `${fault.hint} If it has no TLS, write redis:// in its address.`
    return new CacheError(fault.code, fault.message, { hint, context: fault.context })
  }

  /** One who hangs up after an error meant it for all. */
  #brokenOff(): unknown {
    if (this.#lastWords !== undefined) return replyFault(this.#server, this.#lastWords)
    return connectionFault(this.#server, 'Redis', new Error('aborted'))
  }

  #break(fault: unknown): void {
    if (this.#fault !== undefined) return
    this.#fault = fault
    this.#connecting.end()
    this.#waiting.end()
    this.#socket.destroy()
    for (const { fail } of this.#asked.splice(0)) fail(fault)
  }
}

function connectedTo({ url, port, socketPath, tls }: RedisServer): Socket {
  if (socketPath !== undefined) return connectPlain({ path: socketPath })
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (url.protocol !== 'https:') return connectPlain({ host, port, noDelay: true, keepAlive: true })
  return connectTls({ host, port, ...tls, ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }) }).setNoDelay()
}

function joined(buffers: readonly Buffer[]): Buffer {
  return buffers.length === 1 ? (buffers[0] as Buffer) : Buffer.concat(buffers)
}
