import type { LentFile } from '../../store/local/lent-files.ts'
import type { PipeInput } from '../pipe-input.ts'
import type { GoCache, GoOutput } from './go-cache.ts'
import { type GoPut, type GoRequest, GoRequestReader } from './go-requests.ts'

export interface GoChannel {
  /** What the go command writes, until it closes its end. */
  readonly input: PipeInput
  /** False: it does not read any more. */
  write(text: string): boolean
}

/** Says what this program can: before anything else, since the go command waits for it. */
export const GO_GREETING = answerLine({ ID: 0, KnownCommands: ['get', 'put', 'close'] })

/**
 * Answers a go command until it says `close` or goes away; what was begun is ended then, before the answer. Whatever fails is
 * a miss, or an output that was not kept: a build that would have worked without a cache does not fail for one.
 */
export async function answerGo(cache: GoCache, channel: GoChannel): Promise<void> {
  const conversation = new Conversation(cache, channel)
  const reader = new GoRequestReader(conversation)
  while (conversation.closing === undefined) {
    const chunk = await channel.input.read(conversation.isIdle && cache.isIdle)
    if (chunk === undefined) break
    reader.push(chunk)
    await conversation.answerWhatIsHere()
  }
  conversation.dropPut()
  await cache.finish()
  if (conversation.closing !== undefined) channel.write(answerLine({ ID: conversation.closing }))
}

class Conversation {
  /** The ID of a `close`. */
  closing: number | undefined
  readonly #cache: GoCache
  readonly #channel: GoChannel
  /** Gets that are not answered yet. */
  #waiting = 0
  #onIdle: () => void = () => undefined
  #put: { readonly file: LentFile } | { readonly failure: unknown } | undefined

  constructor(cache: GoCache, channel: GoChannel) {
    this.#cache = cache
    this.#channel = channel
  }

  get isIdle(): boolean {
    return this.#waiting === 0
  }

  /** What the store knows is answered when this is done; what a server is asked for may not be. */
  async answerWhatIsHere(): Promise<void> {
    if (this.#waiting === 0) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
      setImmediate(resolve)
    })
  }

  request(request: Exclude<GoRequest, GoPut>): void {
    if (request.command === 'close') this.closing = request.id
    else if (request.command === 'get') void this.#get(request.id, request.action)
    else this.#answer({ ID: request.id, Err: `unknown command ${request.name}` })
  }

  beginPut(): void {
    this.#put = attempted(() => ({ file: this.#cache.begin() }))
  }

  body(bytes: Uint8Array): void {
    const put = this.#put
    if (put === undefined || !('file' in put)) return
    this.#put = attempted(() => {
      put.file.write(bytes)
      return put
    })
    if (!('file' in this.#put)) put.file.drop()
  }

  endPut({ id, action, output, sizeBytes }: GoPut): void {
    const put = this.#put
    this.#put = undefined
    if (put === undefined) return
    const done = attempted(() => {
      if (!('file' in put)) throw put.failure
      return this.#cache.put(action, put.file, { hash: output, sizeBytes })
    })
    if ('failure' in done) this.#answer({ ID: id, Err: textOf(done.failure) })
    else this.#answer({ ID: id, DiskPath: done.path })
  }

  dropPut(): void {
    if (this.#put !== undefined && 'file' in this.#put) this.#put.file.drop()
    this.#put = undefined
  }

  async #get(id: number, action: string): Promise<void> {
    this.#waiting++
    const found = await this.#cache.get(action)
    this.#answer(found === undefined ? { ID: id, Miss: true } : hitOf(id, found))
    if (--this.#waiting === 0) this.#onIdle()
  }

  #answer(said: Readonly<Record<string, unknown>>): void {
    this.#channel.write(answerLine(said))
  }
}

function attempted<Done>(act: () => Done): Done | { readonly failure: unknown } {
  try {
    return act()
  } catch (failure) {
    return { failure }
  }
}

function hitOf(id: number, { digest, madeMs, path }: GoOutput): Readonly<Record<string, unknown>> {
  const output = Buffer.from(digest.hash, 'hex').toString('base64')
  return { ID: id, OutputID: output, Size: digest.sizeBytes, Time: new Date(madeMs).toISOString(), DiskPath: path }
}

function answerLine(said: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(said)}\n`
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
