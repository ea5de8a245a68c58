import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { shown, type Verdict } from './findings.ts'
import { CODE, isMissing } from './grpc-attempts.ts'
import { framed, type GrpcClient, messagesIn } from './grpc-client.ts'
import { decodedAnswer, encodedRequest, pathOf } from './grpc-messages.ts'
import type { NamedDigest } from './odd.ts'
import type { Random } from './random.ts'

const MEBIBYTE = 1 << 20
const level = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const frameOf = (mebibytes: number) => zstdCompressSync(Buffer.alloc(mebibytes * MEBIBYTE), level)

/** Little on the wire that becomes much, by what compresses it. */
export class Bombs {
  readonly #frame = frameOf(64)
  /** A gibibyte. */
  readonly #frames = Buffer.concat(Array.from({ length: 16 }, () => this.#frame))
  readonly #small = frameOf(1)
  readonly #zipped = gzipSync(Buffer.alloc(200 * MEBIBYTE), { level: 9 })

  /** Each says that it becomes this or that, and never what it becomes: refused, not kept, and no memory is taken for it. */
  async throwAt(client: GrpcClient, random: Random): Promise<Verdict> {
    const sizeBytes = random.pick([1, 100, MEBIBYTE, 64 * MEBIBYTE, 2 ** 30, 2 ** 40, Number.MAX_SAFE_INTEGER])
    const digest = { hash: random.hex(64), sizeBytes }
    const data = random.pick([
      () => this.#frame,
      () => this.#frames,
      () => this.#small,
      () => this.#withSize(random),
      () => this.#cut(random),
    ])()
    return random.pick([
      () => this.#batch(client, digest, data),
      () => this.#stream(client, digest, data),
      () => this.#message(client),
    ])()
  }

  async #batch(client: GrpcClient, digest: NamedDigest, data: Buffer): Promise<Verdict> {
    const method = 'ContentAddressableStorage/BatchUpdateBlobs'
    const { code, body, message } = await client.call({
      path: pathOf(method),
      body: framed(encodedRequest(method, { requests: [{ digest, data, compressor: 1 }] })),
    })
    const answer =
      code === 0
        ? decodedAnswer<{ responses: { status?: { code: number } }[] }>(method, messagesIn(body)[0] as Buffer)
        : undefined
    const told = answer === undefined ? code : answer.responses[0]?.status?.code
    return told === CODE.invalid
      ? this.#absent(client, digest)
      : `a batch with ${data.length} bytes for ${digest.sizeBytes} ended with ${told} ${message}`
  }

  async #stream(client: GrpcClient, digest: NamedDigest, data: Buffer): Promise<Verdict> {
    const resourceName = `uploads/u/compressed-blobs/zstd/${digest.hash}/${digest.sizeBytes}`
    const { code, message } = await client.call({
      path: pathOf('ByteStream/Write'),
      body: framed(encodedRequest('ByteStream/Write', { resourceName, data, finishWrite: true })),
    })
    return code === CODE.invalid
      ? this.#absent(client, digest)
      : `a stream of ${data.length} bytes for ${digest.sizeBytes} ended with ${code} ${message}`
  }

  async #message(client: GrpcClient): Promise<Verdict> {
    const { code, message } = await client.call({
      path: pathOf('ContentAddressableStorage/FindMissingBlobs'),
      body: framed(this.#zipped, 1),
      headers: { 'grpc-encoding': 'gzip' },
    })
    return code === CODE.exhausted
      ? undefined
      : `a message of ${this.#zipped.length} bytes that becomes 200 MiB ended with ${code} ${message}`
  }

  async #absent(client: GrpcClient, digest: NamedDigest): Promise<Verdict> {
    return (await isMissing(client, digest)) ? undefined : `${shown(digest.hash)} was kept`
  }

  /** A frame whose header says that it becomes as much as can be said, with the largest window. */
  #withSize(random: Random): Buffer {
    const head = Buffer.from([
      0x28,
      0xb5,
      0x2f,
      0xfd,
      0xc0,
      random.pick([0xff, 0xf8, 0x00, 0x90]),
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    ])
    random.exactly(8).copy(head, 6)
    return Buffer.concat([head, random.chance(0.5) ? random.bytes(50) : this.#small.subarray(10)])
  }

  #cut(random: Random): Buffer {
    return Buffer.from(this.#frame.subarray(0, random.below(this.#frame.length)))
  }
}
