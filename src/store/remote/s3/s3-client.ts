import { sha256Hex } from '../../../digest/sha256.ts'
import type { CacheError } from '../../../errors.ts'
import { head } from '../../head.ts'
import { notSpoken } from '../connection-fault.ts'
import { type Answer, HttpClient } from '../http/http-client.ts'
import { once } from '../new-blob.ts'
import type { Patience, RemoteServer } from '../remote-server.ts'
import type { CredentialSource } from './credential-source.ts'
import type { S3Address } from './s3-address.ts'
import { codeIn, type Refusal, s3Fault } from './s3-fault.ts'
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
  readonly #credentials: CredentialSource
  /** Of the bodies of answers. */
  receivedBytes = 0

  constructor(
    address: S3Address,
    server: Omit<RemoteServer, 'url' | 'place'>,
    credentials: CredentialSource,
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

  /** Throws CacheError for what the network does and the store refuses, and the signal's reason. */
  async ask(question: S3Question): Promise<Answer> {
    const answer = await this.#asked(question)
    const { status } = answer
    if (status >= 200 && status < 300 && !isPage(answer)) return answer
    if (question.accepted?.includes(status)) return answer
    if (question.method === 'HEAD') return status === 404 ? answer : this.#refusedHead(question, answer)
    const text = await wordsOf(answer)
    const mayBeAbsent = question.method === 'GET' || question.method === 'DELETE'
    if (status === 404 && mayBeAbsent && !isPage(answer) && ABSENT.has(codeIn(text))) return answer
    throw this.fault({ status, headers: answer.headers, text })
  }

  fault(refusal: Refusal): CacheError {
    if (isPage(refusal)) return notSpoken(this.server, 'HTTP', `a web page, HTTP ${refusal.status}`)
    const fault = s3Fault(this.address, refusal)
    if (fault.code === 'remote.denied') this.#credentials.renew()
    return fault
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]()
  }

  async #asked({ method, key, query = {}, headers = {}, body, signal }: S3Question): Promise<Answer> {
    signal?.throwIfAborted()
    const { url } = this.address
    const path = `/${encodedPath(key)}`
    const asked = encodedQuery(query)
    const credentials = await this.#credentials.get(signal)
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
  async #refusedHead({ key, signal }: S3Question, { status, headers }: Answer): Promise<never> {
    if (status < 500) {
      await using _ = await this.ask({ method: 'GET', key, headers: { range: 'bytes=0-0' }, signal })
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
