import { head } from '../../head.ts'
import type { Answer } from '../http/http-client.ts'
import { againWhenBusy } from './again-when-busy.ts'
import type { S3Client } from './s3-client.ts'
import { codeIn, elementIn } from './s3-fault.ts'

/** Of a busy or dead store nobody waits for long to be told that it may forget what it has. */
const ABORT_MS = 2_000
const MOST_ANSWER_BYTES = 1 << 20

/**
 * An object that is sent in parts, which is there only once all of it is (S3's multipart upload). Whoever begins one has to complete or
 * to abort it: the store keeps, and bills, the parts of those that are neither.
 */
export class MultipartUpload {
  readonly #client: S3Client
  readonly #key: string
  readonly #uploadId: string
  readonly #etags: string[] = []

  private constructor(client: S3Client, key: string, uploadId: string) {
    this.#client = client
    this.#key = key
    this.#uploadId = uploadId
  }

  static async begin(client: S3Client, key: string, signal?: AbortSignal): Promise<MultipartUpload> {
    const headers = { 'content-type': 'application/octet-stream' }
    const question = { method: 'POST', key, query: { uploads: '' }, headers, signal } as const
    const text = await said(client, await againWhenBusy(() => client.ask(question), signal))
    const uploadId = elementIn(text, 'UploadId')
    if (uploadId === undefined) throw client.fault({ status: 501, headers: {}, text })
    return new MultipartUpload(client, key, uploadId)
  }

  /** Parts are numbered from 0, and may be sent at the same time. All but the last have to be of one size, 5 MiB at least. */
  async send(part: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const query = { partNumber: String(part + 1), uploadId: this.#uploadId }
    const question = { method: 'PUT', key: this.#key, query, body: { bytes }, signal } as const
    await using answer = await againWhenBusy(() => this.#client.ask(question), signal)
    this.#etags[part] = answer.headers.etag ?? ''
  }

  /** The status: 200, or one of the accepted. */
  async complete(
    headers: Readonly<Record<string, string>>,
    accepted: readonly number[],
    signal?: AbortSignal,
  ): Promise<number> {
    const parts = this.#etags.map(
      (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`,
    )
    const bytes = Buffer.from(
      `<CompleteMultipartUpload xmlns="${NAMESPACE}">${parts.join('')}</CompleteMultipartUpload>`,
    )
    const query = { uploadId: this.#uploadId }
    const question = {
      ...({ method: 'POST', key: this.#key, query, accepted, signal } as const),
      headers: { ...headers, 'content-type': 'application/xml' },
      body: { bytes },
    }
    const answer = await againWhenBusy(() => this.#client.ask(question), signal)
    const { status, headers: told } = answer
    const text = await said(this.#client, answer)
    // Putting the parts together may take longer than a store waits with its status: what came of it is in the body.
    if (status < 300 && codeIn(text) !== '') throw this.#client.fault({ status: 500, headers: told, text })
    return status
  }

  /** Never throws: what is left where the store cannot be told is for the bucket's own rules. */
  async abort(): Promise<void> {
    const query = { uploadId: this.#uploadId }
    try {
      const signal = AbortSignal.timeout(ABORT_MS)
      await using _ = await this.#client.ask({ method: 'DELETE', key: this.#key, query, signal })
    } catch {
      // It is told nothing more.
    }
  }
}

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

async function said(client: S3Client, answer: Answer): Promise<string> {
  await using _ = answer
  const { whole } = await head(answer.body, MOST_ANSWER_BYTES)
  if (whole === undefined) throw client.fault({ status: 501, headers: answer.headers, text: '' })
  return Buffer.from(whole).toString()
}
