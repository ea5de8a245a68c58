import { sha256Hex } from '../../../digest/sha256.ts'
import { type CacheError, isCacheError } from '../../../errors.ts'
import { head } from '../../head.ts'
import { notSpoken } from '../connection-fault.ts'
import { type Answer, HttpClient } from '../http/http-client.ts'
import { once } from '../new-blob.ts'
import type { Patience, RemoteServer } from '../remote-server.ts'
import type { KeptCredentials } from './credentials/kept-credentials.ts'
import type { S3Address, S3Credentials } from './s3-address.ts'
import { codeIn, isOfOldCredentials, type Refusal, s3Fault } from './s3-fault.ts'
import { encodedPath, encodedQuery, Signer } from './sigv4.ts'

export interface S3Question {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** `hash`: its SHA-256, where it is known already. */
  readonly body?: { readonly bytes: Uint8Array; readonly hash?: string }
  /** What besides 200 to 299 and an object that is not there (404) the caller knows what to do with. */
  readonly accepted?: readonly number[]
  readonly signal: AbortSignal | undefined
}

/** Signed requests to one bucket. */
export class S3Client implements Disposable {
  readonly address: S3Address
  readonly #http: HttpClient
  readonly #signer: Signer
  readonly #credentials: KeptCredentials
  /** Of the bodies of answers. */
  receivedBytes = 0

  constructor(
    address: S3Address,
    server: Omit<RemoteServer, 'url' | 'place'>,
    credentials: KeptCredentials,
    patience: Patience,
  ) {
    this.address = address
    // What is refused is told in XML, which has to be read first.
    this.#http = new HttpClient({ ...server, url: address.url, place: address.place }, patience, () => undefined)
    this.#signer = new Signer(address.region)
    this.#credentials = credentials
  }

  get server(): RemoteServer {
    return this.#http.server
  }

  /**
   * Throws CacheError for what the network does and the store refuses, and the signal's reason. Where credentials have ended, it is asked
   * once more with others.
   */
  async ask(question: S3Question): Promise<Answer> {
    const { signal } = question
    signal?.throwIfAborted()
    const credentials = await this.#credentials.get(signal)
    try {
      return await this.#answered(question, credentials)
    } catch (error) {
      if (!isOfOldCredentials(error)) {
        if (isCacheError(error) && error.code === 'remote.denied') this.#credentials.forget(credentials)
        throw error
      }
      const others = await this.#credentials.insteadOf(credentials, signal)
      if (others === undefined) throw error
      return this.#answered(question, others)
    }
  }

  fault(refusal: Refusal): CacheError {
    if (isPage(refusal)) return notSpoken(this.server, 'HTTP', `a web page, HTTP ${refusal.status}`)
    return s3Fault(this.address, refusal)
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]()
  }

  async #answered(question: S3Question, credentials: S3Credentials | undefined): Promise<Answer> {
    const answer = await this.#asked(question, credentials)
    const { status } = answer
    if (status >= 200 && status < 300 && !isPage(answer)) return answer
    if (question.accepted?.includes(status)) return answer
    if (question.method === 'HEAD') return status === 404 ? answer : this.#refusedHead(question, answer, credentials)
    const text = await wordsOf(answer)
    const mayBeAbsent = question.method === 'GET' || question.method === 'DELETE'
    if (status === 404 && mayBeAbsent && !isPage(answer) && ABSENT.has(codeIn(text))) return answer
    throw this.fault({ status, headers: answer.headers, text })
  }

  async #asked(
    { method, key, query = {}, headers = {}, body, signal }: S3Question,
    credentials: S3Credentials | undefined,
  ): Promise<Answer> {
    const { url } = this.address
    const path = `/${encodedPath(key)}`
    const asked = encodedQuery(query)
    const unsigned = {
      ...{ method, host: url.host, headers },
      path: `${url.pathname.replace(/\/+$/, '')}${path}`,
      query: asked,
      payloadHash: body === undefined ? NO_BODY : (body.hash ?? sha256Hex(body.bytes)),
    }
    const answer = await this.#http.ask({
      ...{ method, signal },
      path: asked === '' ? path : `${path}?${asked}`,
      headers: credentials === undefined ? headers : this.#signer.sign(unsigned, credentials, new Date()),
      ...(body && { body: { sizeBytes: body.bytes.length, bytes: once(body.bytes) } }),
    })
    return { ...answer, body: this.#counted(answer.body) }
  }

  async *#counted(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.receivedBytes += piece.length
      yield piece
    }
  }

  /** An answer to HEAD has no words: why is asked again so that they come, unless that would only add to its load. */
  async #refusedHead(
    { key, signal }: S3Question,
    answer: Answer,
    credentials: S3Credentials | undefined,
  ): Promise<never> {
    // Else its connection would stay taken.
    await answer[Symbol.asyncDispose]()
    const { status, headers } = answer
    if (status < 500) {
      const first = { range: 'bytes=0-0' }
      await using _ = await this.#answered({ method: 'GET', key, headers: first, signal }, credentials)
    }
    throw this.fault({ status, headers, text: '' })
  }
}

/** SHA-256 of nothing. */
const NO_BODY = sha256Hex('')
const MOST_WORDS_BYTES = 64 << 10

async function wordsOf(answer: Answer): Promise<string> {
  await using _ = answer
  const { whole } = await head(answer.body, MOST_WORDS_BYTES)
  return whole === undefined ? '' : Buffer.from(whole).toString()
}

/** That the bucket is not there, or an upload, is another matter. */
const ABSENT = new Set(['NoSuchKey', 'NotFound', ''])

function isPage({ headers }: Pick<Answer, 'headers'>): boolean {
  return /^text\/html/i.test(String(headers['content-type'] ?? ''))
}
