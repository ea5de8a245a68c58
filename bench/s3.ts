import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { type Digest, sameDigest } from '../src/digest/digest.ts'
import { digestOf } from '../src/digest/sha256.ts'
import { DEFAULT_SCOPE as scope } from '../src/store/contracts.ts'
import { readWhole } from '../src/store/read-whole.ts'
import { openRemote } from '../src/store/remote/open-remote.ts'
import type { RemoteEnd } from '../src/store/remote/remote-end.ts'
import { encodedPath, Signer } from '../src/store/remote/s3/sigv4.ts'
import { BUCKET, S3_CREDENTIALS as credentials, S3_SERVER, s3Server } from '../test/e2e/s3-server.ts'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { content } from './blob-content.ts'
import { installed } from './installed.ts'
import { pairedRounds } from './paired-rounds.ts'

/**
 * Blobs of a bucket, one after the other, beside the same bytes by plain requests to the same server that were signed before: what is
 * left is what signing, hashing and checking take. And what blobs take there.
 */
export const s3: Benchmark = {
  name: 's3',
  run: async (options) =>
    installed(S3_SERVER) ? measure(options) : [skippedRow('s3', `${S3_SERVER} is not installed`)],
}

const ROUNDS = 9
const SIZES = [
  ['10 KiB', 10 << 10, 100],
  ['1 MiB', 1 << 20, 20],
  ['32 MiB', 32 << 20, 1],
] as const

async function measure(options: BenchOptions): Promise<Row[]> {
  await using server = await s3Server()
  await using end = await openRemote(`s3://${BUCKET}?endpoint=${server.endpoint}`, { s3: { credentials } })
  using floor = new PlainRequests(server.endpoint)
  const rows: Row[] = []
  for (const [size, bytes, most] of SIZES) {
    const times = scaled(most, options)
    // Incompressible, so that both send the same; another one each time.
    const blob = randomBytes(bytes)
    let number = 0
    const next = () => {
      blob.writeUInt32LE(number++)
      return digestOf(blob)
    }
    const [put, plainPut] = await pairedRounds(
      [
        { name: 'put', times, round: () => repeated(times, () => end.blobs.write(scope, next(), blob)) },
        { name: 'plain PUT', times, round: () => repeated(times, () => floor.put(next(), blob)) },
      ],
      scaled(ROUNDS, options, 3),
    )
    const digest = next()
    await end.blobs.write(scope, digest, blob)
    const [get, plainGet] = await pairedRounds(
      [
        { name: 'get', times, round: () => repeated(times, () => got(end, digest)) },
        { name: 'plain GET', times, round: () => repeated(times, () => floor.get(digest)) },
      ],
      scaled(ROUNDS, options, 3),
    )
    if (put && plainPut && get && plainGet)
      rows.push(rowOf(`s3 put of ${size}`, put, plainPut), rowOf(`s3 get of ${size}`, get, plainGet))
  }
  return [...rows, await storedRow(end)]
}

async function got(end: RemoteEnd, digest: Digest): Promise<void> {
  const bytes = await readWhole(end.blobs, scope, digest)
  if (bytes?.length !== digest.sizeBytes) throw new Error('the blob is not there')
}

/** What a program of 8 MiB takes there, and on its way. */
async function storedRow(end: RemoteEnd): Promise<Row> {
  const blob = content(8 << 20)
  const digest = digestOf(blob)
  await end.blobs.write(scope, digest, blob)
  const before = end.receivedBytes?.() ?? 0
  const bytes = await readWhole(end.blobs, scope, digest)
  if (bytes === undefined || !sameDigest(digestOf(bytes), digest)) throw new Error('the blob is not there')
  const received = (end.receivedBytes?.() ?? 0) - before
  const shown = (count: number) => `${(count / (1 << 20)).toFixed(2)} MiB`
  return {
    what: 's3 bytes of a program',
    ours: shown(received),
    theirs: `its size ${shown(blob.length)}`,
    ratio: received / blob.length,
  }
}

async function repeated(times: number, act: () => Promise<void>): Promise<void> {
  for (let i = 0; i < times; i++) await act()
}

/** As little as there can be: a connection that is kept, and signatures. */
class PlainRequests implements Disposable {
  readonly #agent = new Agent({ keepAlive: true })
  readonly #signer = new Signer('us-east-1')
  readonly #url: URL

  constructor(endpoint: string) {
    this.#url = new URL(endpoint)
  }

  put({ hash, sizeBytes }: Digest, bytes: Uint8Array): Promise<void> {
    return this.#ask('PUT', `plain/${hash.slice(0, 2)}/${hash}-${sizeBytes}`, hash, bytes)
  }

  get({ hash, sizeBytes }: Digest): Promise<void> {
    return this.#ask('GET', `cas/${hash.slice(0, 2)}/${hash}-${sizeBytes}`, NOTHING)
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #ask(method: string, key: string, payloadHash: string, body?: Uint8Array): Promise<void> {
    const { host, hostname, port } = this.#url
    const path = `/${BUCKET}/${encodedPath(key)}`
    const unsigned = { method, host, path, query: '', headers: {}, payloadHash }
    const length = body && { 'content-length': String(body.length) }
    const headers = { ...this.#signer.sign(unsigned, credentials, new Date()), ...length }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const asked = request({ agent: this.#agent, hostname, port, method, path, headers }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`HTTP ${answer.statusCode}`))
      answer.resume().once('end', resolve)
    })
    asked.once('error', reject)
    asked.end(body)
    return promise
  }
}

const NOTHING = digestOf(new Uint8Array(0)).hash

if (import.meta.main) await runAlone(s3)
