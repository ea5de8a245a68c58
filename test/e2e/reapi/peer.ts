import { afterAll, beforeAll, describe } from 'vitest'
import { type Runtime, runtimes, type Sandbox, sandbox } from '../runtimes.ts'
import { READ_TOKEN, type Served, serveStore, WRITE_TOKEN } from '../served.ts'
import { type Digest, digestOf, writeName, writeRequests } from './blobs.ts'
import { type Answer, Client } from './client.ts'

const TOKENS = { write: WRITE_TOKEN, read: READ_TOKEN, none: undefined, unknown: 'a-token-that-nobody-has' }
export type Token = keyof typeof TOKENS

/** `recue serve` in one runtime, over a store of its own, and clients of it. */
export class Peer {
  readonly #runtime: Runtime
  readonly #clients = new Map<Token, Client>()
  #sandbox: Sandbox | undefined
  #served: Served | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  get cacheDir(): string {
    return (this.#sandbox as Sandbox).cacheDir
  }

  get url(): string {
    return (this.#served as Served).url
  }

  /** What may write, unless said. */
  as(token: Token): Client {
    const client = this.#clients.get(token) ?? new Client(new URL(this.url).host, TOKENS[token])
    this.#clients.set(token, client)
    return client
  }

  call(...args: Parameters<Client['call']>): Promise<Answer> {
    return this.as('write').call(...args)
  }

  send(...args: Parameters<Client['send']>): Promise<Answer> {
    return this.as('write').send(...args)
  }

  /** Throws unless it is taken. */
  async keep(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes)
    const { code, message } = await this.send('ByteStream/Write', writeRequests(writeName(digest), bytes))
    if (code !== 'OK') throw new Error(`a blob was not kept: ${code} ${message}`)
    return digest
  }

  async start(): Promise<void> {
    this.#sandbox ??= sandbox('reapi')
    this.#served = await serveStore(this.#runtime, this.#sandbox.cacheDir)
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client[Symbol.dispose]()
    this.#clients.clear()
    await this.#served?.[Symbol.asyncDispose]()
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#sandbox?.[Symbol.asyncDispose]()
  }
}

/** The same tests against a server in each runtime. */
export function conformance(name: string, tests: (peer: Peer) => void): void {
  describe.each(runtimes)(`${name}, served by $name`, (runtime) => {
    const peer = new Peer(runtime)
    beforeAll(() => peer.start())
    afterAll(() => peer[Symbol.asyncDispose]())
    tests(peer)
  })
}
