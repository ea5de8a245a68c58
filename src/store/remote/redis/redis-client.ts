import type { Patience } from '../remote-server.ts'
import { abortable } from '../waiting.ts'
import { ByteGate } from './byte-gate.ts'
import type { RedisServer } from './redis-address.ts'
import { RedisConnection } from './redis-connection.ts'
import { type Argument, encodedCommand, type Reply } from './resp.ts'

/** On their way or here, before whoever asked has taken them. */
const MOST_BYTES = 16 << 20
/** Of a command and its answer, beside the values in them. */
const COMMAND_BYTES = 256

export interface Command {
  readonly args: readonly Argument[]
  /** Of its values and its answer's. */
  readonly bytes?: number
}

/**
 * One connection to a Redis, made when something is asked and none stands, never by itself. All commands share it: those asked at
 * about the same time are one write. Whoever loses patience with a connection that says nothing leaves it, and the next gets another.
 */
export class RedisClient implements Disposable {
  readonly server: RedisServer
  readonly #patience: Patience
  readonly #gate = new ByteGate(MOST_BYTES)
  readonly #connections = new Set<RedisConnection>()
  /** What came on those that are closed. */
  #goneBytes = 0
  #current: RedisConnection | undefined

  constructor(server: RedisServer, patience: Patience) {
    this.server = server
    this.#patience = patience
  }

  /** All that has come so far. */
  get receivedBytes(): number {
    let bytes = this.#goneBytes
    for (const connection of this.#connections) bytes += connection.receivedBytes
    return bytes
  }

  /** The reply, also where it is an error. Throws `remote.*`, and the signal's reason. */
  async ask({ args, bytes = 0 }: Command, signal?: AbortSignal): Promise<Reply> {
    const leave = await this.#gate.enter(bytes + COMMAND_BYTES, signal)
    const connection = this.#standing()
    const { receivedBytes } = connection
    // Who gives up leaves the answer on its way: it takes room until it is here.
    const reply = this.#asked(connection, args, signal).finally(leave)
    try {
      return await abortable(reply, signal)
    } catch (error) {
      if (signal?.aborted && connection.receivedBytes === receivedBytes) this.#leaveAlone(connection)
      throw error
    }
  }

  askAll(commands: readonly Command[], signal?: AbortSignal): Promise<Reply[]> {
    return Promise.all(commands.map((command) => this.ask(command, signal)))
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.destroy()
  }

  async #asked(connection: RedisConnection, args: readonly Argument[], signal?: AbortSignal): Promise<Reply> {
    if (!connection.isReady) await connection.ready
    signal?.throwIfAborted()
    return connection.ask(encodedCommand(args))
  }

  #standing(): RedisConnection {
    if (this.#current !== undefined && !this.#current.isBroken) return this.#current
    const connection = new RedisConnection(this.server, this.#patience, () => {
      this.#connections.delete(connection)
      this.#goneBytes += connection.receivedBytes
    })
    this.#connections.add(connection)
    this.#current = connection
    return connection
  }

  #leaveAlone(connection: RedisConnection): void {
    if (this.#current === connection) this.#current = undefined
    connection.retire()
  }
}
