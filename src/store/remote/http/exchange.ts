import type { ClientRequest, IncomingMessage } from 'node:http'
import { connectionFault, timedOut } from '../connection-fault.ts'
import type { Patience, RemoteServer } from '../remote-server.ts'
import { Waiting } from '../waiting.ts'

/** One request and its answer, each bounded by how long nothing moves. */
export class Exchange {
  readonly #request: ClientRequest
  readonly #server: RemoteServer
  readonly #waiting: Waiting
  readonly #connecting: Waiting
  readonly #signal: AbortSignal | undefined
  readonly #answered: Promise<IncomingMessage>
  #fault: unknown
  #isOver = false

  constructor(request: ClientRequest, server: RemoteServer, patience: Patience, signal: AbortSignal | undefined) {
    this.#request = request
    this.#server = server
    this.#signal = signal
    this.#waiting = this.#patient(patience.idleMs)
    this.#connecting = this.#patient(patience.connectMs)
    const abort = () => this.#fail(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    request.once('socket', (socket) => {
      if (!socket.connecting) return
      this.#connecting.begin()
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => this.#connecting.end())
    })
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    request.once('response', resolve).once('error', reject)
    request.once('close', () => {
      this.#isOver = true
      this.#connecting.end()
      this.#waiting.end()
      signal?.removeEventListener('abort', abort)
      reject(new Error('aborted'))
    })
    // Whoever sends a body hears of it only after the body.
    promise.then(
      () => this.#connecting.end(),
      () => undefined,
    )
    this.#answered = promise
  }

  async response(body: AsyncIterable<Uint8Array> | undefined): Promise<IncomingMessage> {
    try {
      if (body === undefined) this.#request.end()
      else await this.#send(body)
    } catch (error) {
      this.#request.destroy()
      throw this.#fault ?? error
    }
    this.#waiting.begin()
    try {
      return await this.#answered
    } catch (error) {
      throw this.#explained(error)
    } finally {
      this.#waiting.end()
    }
  }

  async *body(response: IncomingMessage, received: (bytes: number) => void): AsyncGenerator<Uint8Array> {
    const iterator = response[Symbol.asyncIterator]()
    try {
      for (;;) {
        this.#waiting.begin()
        const next = await iterator.next()
        this.#waiting.end()
        if (next.done) break
        received(next.value.length)
        yield next.value
      }
      if (!response.complete) throw new Error('aborted')
    } catch (error) {
      throw this.#explained(error)
    } finally {
      if (!response.complete) response.destroy()
    }
  }

  /** Until all is sent, or the server has answered before it was. */
  async #send(body: AsyncIterable<Uint8Array>): Promise<void> {
    let wake: (() => void) | undefined
    const over = () => {
      this.#isOver = true
      wake?.()
    }
    this.#answered.then(over, over)
    this.#request.on('drain', () => wake?.())
    for await (const piece of body) {
      if (this.#isOver) return
      if (this.#request.write(piece)) continue
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      this.#waiting.begin()
      if (!this.#isOver) await promise
      this.#waiting.end()
    }
    if (!this.#isOver) this.#request.end()
  }

  #patient(ms: number): Waiting {
    return new Waiting(ms, () => this.#fail(timedOut(this.#server, ms)))
  }

  #fail(why: unknown): void {
    this.#fault ??= why
    this.#request.destroy()
  }

  #explained(error: unknown): unknown {
    if (this.#signal?.aborted) return this.#signal.reason
    return this.#fault ?? connectionFault(this.#server, 'HTTP', error)
  }
}
