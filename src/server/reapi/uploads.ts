import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { BlobStore } from '../../store/contracts.ts'
import type { UploadResource } from './resource-name.ts'
import { scopeOf } from './scope.ts'
import { Upload, type UploadTurn } from './upload.ts'
import type { WriteStream } from './write-stream.ts'

export interface UploadLimits {
  /** How long a broken upload is kept for its client to go on with. */
  readonly resumableMs: number
  /** Of all that are broken: so many, */
  readonly mostBroken: number
  /** and so many bytes of content. The oldest are dropped first. */
  readonly mostBrokenBytes: number
  /** Less is sent again sooner than it is asked for. */
  readonly fewestBytes: number
}

/** Clients try again within seconds. What is kept meanwhile takes an open file and 4 MiB of memory for each. */
const LIMITS: UploadLimits = {
  resumableMs: 180_000,
  mostBroken: 16,
  mostBrokenBytes: 16 * 2 ** 30,
  fewestBytes: 1 << 20,
}

interface Broken {
  readonly upload: Upload
  readonly timer: NodeJS.Timeout
}

/**
 * The uploads of large blobs, by their resource names: one whose stream broke can be gone on with for a while. Dispose of it
 * before the store.
 */
export class Uploads implements AsyncDisposable {
  readonly #blobs: BlobStore
  readonly #limits: UploadLimits
  readonly #all = new Map<string, Upload>()
  /** Oldest first. */
  readonly #broken = new Map<string, Broken>()
  readonly #dropping = new Set<Promise<void>>()
  #isEnded = false

  constructor(blobs: BlobStore, limits: Partial<UploadLimits> = {}) {
    this.#blobs = blobs
    this.#limits = { ...LIMITS, ...limits }
  }

  /** How much of it has come; 0 for one that is not known. */
  receivedBytes(resource: UploadResource): number {
    return this.#all.get(nameOf(resource))?.receivedBytes ?? 0
  }

  /**
   * Reads the stream to its end. The answer is how much has come of the upload in all: everything, and the blob is kept; or
   * less, and another call can go on from there. Throws what the store throws, and INVALID_ARGUMENT when the bytes are not the
   * blob.
   */
  async write(stream: WriteStream): Promise<number> {
    const { resource, offset } = stream
    const name = nameOf(resource)
    const upload = this.#opened(name, resource, offset)
    const turn = upload.begin()
    try {
      await giveAll(stream, turn)
      const isWhole = stream.isFinished || upload.receivedBytes === resource.digest.sizeBytes
      if (!isWhole) this.#keepBroken(name, upload)
      else {
        await turn.finish()
        this.#all.delete(name)
      }
      return upload.receivedBytes
    } catch (error) {
      if (error instanceof StreamBroke) {
        if (turn.isLatest) this.#keepBroken(name, upload)
        throw error.cause
      }
      if (turn.isLatest) this.#drop(name, upload, 'It was refused.')
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true
    for (const [name, upload] of this.#all) this.#drop(name, upload, 'The server ends.')
    await Promise.all(this.#dropping)
  }

  #opened(name: string, { instance, digest }: UploadResource, offset: number): Upload {
    if (this.#isEnded) throw new GrpcStatus(GrpcCode.UNAVAILABLE, 'The server ends.')
    const known = this.#all.get(name)
    const receivedBytes = known?.receivedBytes ?? 0
    if (offset > receivedBytes)
      throw new GrpcStatus(
        GrpcCode.INVALID_ARGUMENT,
        `write_offset is ${offset} where ${receivedBytes} bytes have come.`,
      )
    this.#forgetBroken(name)
    if (known !== undefined) return known
    const upload = new Upload(digest, (bytes) => this.#blobs.write(scopeOf(instance), digest, bytes))
    this.#all.set(name, upload)
    return upload
  }

  #keepBroken(name: string, upload: Upload): void {
    const { resumableMs, mostBroken, mostBrokenBytes, fewestBytes } = this.#limits
    if (upload.receivedBytes < fewestBytes) {
      this.#drop(name, upload, 'It broke off.')
      return
    }
    const timer = setTimeout(() => this.#drop(name, upload, 'Nobody went on with it.'), resumableMs).unref()
    this.#broken.set(name, { upload, timer })
    for (const [oldest, { upload: old }] of this.#broken) {
      if (this.#broken.size <= mostBroken && this.#brokenBytes() <= mostBrokenBytes) return
      this.#drop(oldest, old, 'Others broke off since.')
    }
  }

  #brokenBytes(): number {
    let bytes = 0
    for (const { upload } of this.#broken.values()) bytes += upload.receivedBytes
    return bytes
  }

  #forgetBroken(name: string): void {
    clearTimeout(this.#broken.get(name)?.timer)
    this.#broken.delete(name)
  }

  #drop(name: string, upload: Upload, why: string): void {
    this.#forgetBroken(name)
    this.#all.delete(name)
    const dropping = upload.drop(new GrpcStatus(GrpcCode.ABORTED, `The upload was given up: ${why}`))
    this.#dropping.add(dropping)
    void dropping.then(() => this.#dropping.delete(dropping))
  }
}

/** What the client sends does not come to its end, which is no fault of the upload. */
class StreamBroke extends Error {}

async function giveAll(stream: WriteStream, turn: UploadTurn): Promise<void> {
  let at = stream.offset
  const data = stream.data[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await data.next().catch((cause: unknown) => {
      const isWrong = cause instanceof GrpcStatus && cause.code === GrpcCode.INVALID_ARGUMENT
      throw isWrong ? cause : new StreamBroke('', { cause })
    })
    if (done === true) return
    await turn.give(at, value)
    at += value.length
  }
}

function nameOf({ instance, uuid, digest }: UploadResource): string {
  return `${instance}\n${uuid}\n${digest.hash}/${digest.sizeBytes}`
}
