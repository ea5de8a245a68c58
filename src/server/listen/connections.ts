import type { Socket } from 'node:net'

/** How long connections may do nothing. Uploads and downloads may take as long as they like, as long as they go on. */
export interface ConnectionLimits {
  /** From the first byte on the wire to the end of the first header: who needs longer has gone, or means harm. */
  readonly firstRequestMs: number
  /** Between requests. */
  readonly idleMs: number
  /** Within a request: in this time, at least `leastBytes` move. */
  readonly stalledMs: number
  readonly leastBytes: number
  /** More are closed as they come. */
  readonly mostConnections: number
}

export const DEFAULT_LIMITS: ConnectionLimits = {
  firstRequestMs: 15_000,
  // Tools wait for minutes between two tasks; those of HTTP/1.1 are told of it, and those of HTTP/2 before it happens.
  idleMs: 120_000,
  stalledMs: 60_000,
  leastBytes: 1024,
  mostConnections: 4096,
}

/** One client's connection, by whichever protocol. */
export interface Connection {
  readonly socket: Socket
  /** A request, or a stream, has begun. */
  begin(): void
  /** It is over. */
  end(): void
  /** Says how it is closed without loss, and how its other side is asked for a sign of life. */
  speaks(protocol: ConnectionProtocol): void
  /** Its client has said all that its protocol begins with, and may take its time until there is something to ask. */
  greeted(): void
}

export interface ConnectionProtocol {
  /** Takes no more requests; closes when those under way are over. */
  close(): void
  /** Asks the other side for a sign of life, where the protocol can. */
  ping?(onAnswer: () => void): void
}

/** Everybody who is connected: how many they may be, how long they may do nothing, and how they are seen off. */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #live = new Set<LiveConnection>()
  readonly #timer: NodeJS.Timeout
  #isEnding = false
  #onEmpty: () => void = () => undefined

  constructor(limits: ConnectionLimits = DEFAULT_LIMITS) {
    this.#limits = limits
    const shortest = Math.min(limits.firstRequestMs, limits.idleMs, limits.stalledMs)
    this.#timer = setInterval(() => this.#sweep(performance.now()), shortest / 3)
    this.#timer.unref()
  }

  get count(): number {
    return this.#live.size
  }

  /** Undefined, and the socket destroyed: there is no room for it. */
  add(socket: Socket): Connection | undefined {
    socket.on('error', () => undefined)
    if (this.#isEnding || this.#live.size >= this.#limits.mostConnections) {
      socket.destroy()
      return undefined
    }
    const connection = new LiveConnection(socket, () => this.#isEnding)
    this.#live.add(connection)
    socket.once('close', () => {
      this.#live.delete(connection)
      if (this.#live.size === 0) this.#onEmpty()
    })
    return connection
  }

  /** Lets what is under way finish within `graceMs`, then cuts it. None is added any more. */
  async close(graceMs: number): Promise<void> {
    this.#isEnding = true
    for (const connection of this.#live) connection.close()
    if (this.#live.size > 0) await this.#emptyWithin(graceMs)
    clearInterval(this.#timer)
  }

  #emptyWithin(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        for (const { socket } of this.#live) socket.destroy()
      }, graceMs)
      this.#onEmpty = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #sweep(nowMs: number): void {
    for (const connection of this.#live) connection.check(this.#limits, nowMs)
  }
}

class LiveConnection implements Connection {
  readonly socket: Socket
  readonly #isEnding: () => boolean
  #protocol: ConnectionProtocol | undefined
  #underWay = 0
  #hasAsked = false
  #isPinged = false
  #sinceMs = performance.now()
  #bytesBefore = 0

  constructor(socket: Socket, isEnding: () => boolean) {
    this.socket = socket
    this.#isEnding = isEnding
  }

  speaks(protocol: ConnectionProtocol): void {
    this.#protocol = protocol
  }

  greeted(): void {
    this.#hasAsked = true
  }

  begin(): void {
    this.#hasAsked = true
    if (this.#underWay++ === 0) this.#startWindow()
  }

  end(): void {
    if (--this.#underWay > 0) return
    this.#startWindow()
    if (this.#isEnding()) this.close()
  }

  close(): void {
    if (this.#underWay === 0 && this.#protocol?.ping === undefined) this.socket.destroySoon()
    else this.#protocol?.close()
  }

  check(limits: ConnectionLimits, nowMs: number): void {
    const quietMs = nowMs - this.#sinceMs
    if (this.#underWay === 0) {
      if (!this.#hasAsked && quietMs > limits.firstRequestMs) this.socket.destroy()
      else if (quietMs > limits.idleMs) this.close()
    } else if (quietMs > limits.stalledMs) this.#checkProgress(limits)
  }

  #checkProgress({ leastBytes }: ConnectionLimits): void {
    const ping = this.#protocol?.ping
    const moved = this.#bytes() - this.#bytesBefore
    if (moved >= (ping === undefined ? leastBytes : 1)) this.#startWindow()
    else if (ping === undefined || this.#isPinged) this.socket.destroy()
    else {
      // A stream may wait for something, as who watches a service's health does.
      this.#startWindow()
      this.#isPinged = true
      ping(() => this.#startWindow())
    }
  }

  #startWindow(): void {
    this.#isPinged = false
    this.#sinceMs = performance.now()
    this.#bytesBefore = this.#bytes()
  }

  /** What we send ourselves is no sign of life where it is a ping; and of HTTP/2, Bun (1.4.5) counts nothing at all. */
  #bytes(): number {
    const { bytesRead, bytesWritten } = this.socket
    return this.#protocol?.ping === undefined ? bytesRead + bytesWritten : bytesRead
  }
}
