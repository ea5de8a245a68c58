import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { CacheError, systemCode } from '../../errors.ts'
import type { ReplyBody } from '../../server/protocol.ts'
import { VERSION } from '../../version.ts'
import { type CcacheLayout, type CcacheStorage, ccachePath } from './ccache-storage.ts'
import {
  CAPABILITIES,
  type CrshKeyed,
  type CrshPut,
  type CrshRequest,
  crshRequests,
  ERROR,
  encodedMessage,
  encodedSize,
  NOOP,
  OK,
  PROTOCOL_VERSION,
} from './crsh-requests.ts'

export interface CcacheHelperOptions {
  /** The socket to listen on, which ccache chose. */
  readonly endpoint: string
  /** Ends itself when no ccache has asked for so long; 0: never. */
  readonly idleMs: number
  readonly layout: CcacheLayout
  readonly storage: CcacheStorage
  /** What ccache is to write to its log about this helper, when it asks. */
  readonly diagnostics: () => readonly string[]
  readonly signal: AbortSignal
}

/**
 * Serves the ccaches of this user through a socket until it is told to stop, nobody asks any more, or the signal. ccache leaves a
 * storage alone for the rest of a compilation once it says `error`, so what goes wrong is "not there" or "not kept". Throws
 * `usage` when the socket cannot be had.
 */
export async function serveCcache(options: CcacheHelperOptions): Promise<void> {
  const helper = new Helper(options)
  const server = createServer((socket) => helper.take(socket))
  // The socket is the only thing that keeps other users out.
  process.umask(0o077)
  await listening(server, options.endpoint)
  helper.wake()
  await helper.ended
  const closed = new Promise((resolve) => server.close(resolve))
  helper.hangUp()
  await closed
}

class Helper {
  readonly ended: Promise<void>
  readonly #options: CcacheHelperOptions
  readonly #sockets = new Set<Socket>()
  #end: () => void = () => undefined
  #underWay = 0
  #idle: NodeJS.Timeout | undefined

  constructor(options: CcacheHelperOptions) {
    this.#options = options
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    if (options.signal.aborted) this.#end()
    options.signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  /** Somebody is there: the time until it ends by itself begins anew. */
  wake(): void {
    clearTimeout(this.#idle)
    const { idleMs } = this.#options
    if (idleMs > 0) this.#idle = setTimeout(() => (this.#underWay > 0 ? this.wake() : this.#end()), idleMs)
  }

  hangUp(): void {
    clearTimeout(this.#idle)
    for (const socket of this.#sockets) socket.destroy()
  }

  take(socket: Socket): void {
    this.#sockets.add(socket)
    this.wake()
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.write(Buffer.of(PROTOCOL_VERSION, CAPABILITIES.length, ...CAPABILITIES))
    // What fails here is between this socket and its client: others are not concerned.
    this.#converse(socket).catch(() => socket.destroy())
  }

  async #converse(socket: Socket): Promise<void> {
    for await (const request of crshRequests(socket)) {
      this.#underWay++
      try {
        await this.#answer(socket, request)
      } finally {
        this.#underWay--
        this.wake()
      }
    }
    socket.end()
  }

  async #answer(socket: Socket, request: CrshRequest): Promise<void> {
    if (request.kind === 'stop') {
      await new Promise((resolve) => socket.write(Buffer.of(OK), resolve))
      this.#end()
    } else if (request.kind === 'info') socket.write(this.#info())
    else if (request.kind === 'unknown')
      socket.write(Buffer.concat([Buffer.of(ERROR), encodedMessage(`unknown request ${request.code}`)]))
    else if (request.kind === 'get') await sendValue(socket, await this.#orNot(this.#get(request.key)))
    else socket.write(await this.#outcome(request))
  }

  #info(): Buffer {
    const diagnostics = this.#options.diagnostics()
    return Buffer.concat([
      encodedMessage(`recue ${VERSION}`),
      Buffer.of(diagnostics.length),
      ...diagnostics.map(encodedMessage),
    ])
  }

  #get(key: Uint8Array): Promise<ReplyBody | undefined> {
    return this.#options.storage.get(this.#path(key))
  }

  async #outcome(request: CrshKeyed<'remove'> | CrshKeyed<'exists'> | CrshPut): Promise<Buffer> {
    const { storage } = this.#options
    const path = this.#path(request.key)
    if (request.kind === 'exists') return Buffer.of(OK, (await this.#orNot(storage.has(path))) ? 1 : 0)
    if (request.kind === 'remove') return Buffer.of((await this.#orNot(storage.remove(path))) ? OK : NOOP)
    if (!request.overwrite && (await this.#orNot(storage.has(path)))) return Buffer.of(NOOP)
    return Buffer.of((await this.#orNot(storage.put(path, request.value, request.sizeBytes))) ? OK : NOOP)
  }

  #path(key: Uint8Array): string {
    return ccachePath(key, this.#options.layout)
  }

  async #orNot<Value>(asked: Promise<Value>): Promise<Value | undefined> {
    try {
      return await asked
    } catch {
      return undefined
    }
  }
}

/** Once the size has gone out, what cannot be read any more can only be said by hanging up. */
async function sendValue(socket: Socket, value: ReplyBody | undefined): Promise<void> {
  if (value === undefined) {
    socket.write(Buffer.of(NOOP))
    return
  }
  if (typeof value === 'string' || value instanceof Uint8Array) {
    const bytes = Buffer.from(value as Uint8Array)
    socket.write(Buffer.concat([Buffer.of(OK), encodedSize(bytes.length), bytes]))
    return
  }
  await using source = value.bytes
  socket.write(Buffer.concat([Buffer.of(OK), encodedSize(value.sizeBytes)]))
  let sent = 0
  for await (const chunk of source) {
    sent += chunk.length
    if (!socket.write(chunk)) await drained(socket)
    if (socket.destroyed) return
  }
  if (sent !== value.sizeBytes) socket.destroy()
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}

/** A socket that a killed helper left is taken over; where one listens, ccache uses that one. */
async function listening(server: Server, endpoint: string): Promise<void> {
  try {
    await listen(server, endpoint)
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE' || (await isAlive(endpoint))) throw cannotListen(endpoint, error)
    rmSync(endpoint, { force: true })
    await listen(server, endpoint).catch((again: unknown) => Promise.reject(cannotListen(endpoint, again)))
  }
}

function listen(server: Server, endpoint: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(endpoint, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function isAlive(endpoint: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(endpoint)
    const say = (alive: boolean) => {
      socket.destroy()
      resolve(alive)
    }
    socket.once('connect', () => say(true)).once('error', () => say(false))
  })
}

function cannotListen(endpoint: string, cause: unknown): CacheError {
  return new CacheError('usage', `Cannot listen on ${endpoint}: ${systemCode(cause) ?? cause}.`, { cause })
}
