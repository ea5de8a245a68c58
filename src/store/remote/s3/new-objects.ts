import { sha256Hex } from '../../../digest/sha256.ts'
import { eitherSignal } from '../../either-signal.ts'
import { MultipartUpload } from './multipart-upload.ts'
import { objectParts, partBytesFor } from './object-parts.ts'
import type { S3Client } from './s3-client.ts'

/** Parts under way: so much of a blob is in memory. */
const PARTS_AT_ONCE = 4

export interface NewObject {
  readonly key: string
  /** What is there is written over; else it is kept, being the same. */
  readonly isReplacing: boolean
  readonly signal: AbortSignal | undefined
}

/** Keeps content under its names: one that is there already is not written again, where the store can be asked for that. */
export class NewObjects implements AsyncDisposable {
  readonly #client: S3Client
  readonly #aborting = new Set<Promise<void>>()
  #takesConditions = true

  constructor(client: S3Client) {
    this.#client = client
  }

  /** `hash` is that of the bytes: the store refuses others. */
  async whole({ key, isReplacing, signal }: NewObject, bytes: Uint8Array, hash: string): Promise<void> {
    await this.#kept(isReplacing, async (condition, accepted) => {
      const headers = { ...condition, 'content-type': 'application/octet-stream' }
      const body = { bytes, hash }
      await using answer = await this.#client.ask({ method: 'PUT', key, headers, body, accepted, signal })
      return answer.status
    })
  }

  /**
   * What comes as a stream and is known to be right at its end: in parts where it is large, of which nothing is seen before. It is about
   * so many bytes.
   */
  async stream(object: NewObject, bytes: AsyncIterable<Uint8Array>, aboutBytes: number): Promise<void> {
    const { key, isReplacing, signal } = object
    const failed = new AbortController()
    const either = eitherSignal(failed.signal, signal)
    const sending = new Set<Promise<void>>()
    let upload: MultipartUpload | undefined
    let number = 0
    try {
      for await (const part of objectParts(bytes, partBytesFor(aboutBytes))) {
        if (part.isLast && upload === undefined) return await this.whole(object, part.bytes, sha256Hex(part.bytes))
        upload ??= await MultipartUpload.begin(this.#client, key, signal)
        if (sending.size >= PARTS_AT_ONCE) await Promise.race(sending)
        either.throwIfAborted()
        const sent = upload
          .send(number++, part.bytes, either)
          .catch((error) => failed.abort(error))
          .finally(() => sending.delete(sent))
        sending.add(sent)
      }
      await Promise.all(sending)
      either.throwIfAborted()
      if (!(await this.#completed(upload as MultipartUpload, isReplacing, signal))) this.#forget(upload, sending)
    } catch (error) {
      failed.abort(error)
      this.#forget(upload, sending)
      throw error
    }
  }

  /** Waits until the store was told of the uploads that came to nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#aborting)
  }

  /** False: it was there already. */
  async #completed(upload: MultipartUpload, isReplacing: boolean, signal: AbortSignal | undefined): Promise<boolean> {
    return this.#kept(isReplacing, (condition, accepted) => upload.complete(condition, accepted, signal))
  }

  /** Nobody waits for it, but whoever closes the end. */
  #forget(upload: MultipartUpload | undefined, sending: ReadonlySet<Promise<void>>): void {
    if (upload === undefined) return
    const aborting = Promise.all(sending)
      .then(() => upload.abort())
      .finally(() => this.#aborting.delete(aborting))
    this.#aborting.add(aborting)
  }

  /** False where it was there already. `send` answers with a status: 200 to 299, or one of those that it is told to accept. */
  async #kept(
    isReplacing: boolean,
    send: (condition: Readonly<Record<string, string>>, accepted: readonly number[]) => Promise<number>,
  ): Promise<boolean> {
    if (!isReplacing && this.#takesConditions) {
      const status = await send({ 'if-none-match': '*' }, [THERE, AT_ONCE, UNKNOWN])
      if (status < 300) return true
      if (status === THERE) return false
      if (status === UNKNOWN) this.#takesConditions = false
    }
    await send({}, [])
    return true
  }
}

const THERE = 412
/** Somebody else is writing it, which may fail. */
const AT_ONCE = 409
/** Not every store knows conditions. */
const UNKNOWN = 501
