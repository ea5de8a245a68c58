import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { constants, zstdCompress } from 'node:zlib'
import { digestOf } from '../src/digest/sha256.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { zstdFrames } from '../src/store/local/compression/zstd-frames.ts'
import { openLocalStore } from '../src/store/local/local-store.ts'
import { PACK_BYTES } from '../src/store/local/pack-builder.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled } from './benchmark.ts'
import { sourceLike } from './files.ts'

/**
 * Blobs of source-like text of 1 to 64 KiB, named and stored by one process; against naming them alone, and against
 * compressing them alone, in frames of the size of our packs on as many threads: by zlib's call for it, and the quickest way
 * that we know, which is the store's own. All in one process, in turn.
 */
export const store100k: Benchmark = {
  name: 'store-100k',
  run: (options) => measure(options),
}

const LEVEL = 1
const TEXT_BYTES = 96 << 20
const LEAST_BYTES = 1 << 10
const MOST_BYTES = 64 << 10
/** A caller reads, names and asks to keep so much at a time, and has so many bytes under way. */
const TURN_BLOBS = 32
const UNDER_WAY_BYTES = 64 << 20

async function measure(options: BenchOptions): Promise<Row[]> {
  const blobs = blobsOf(scaled(100_000, options), options)
  const contenders = {
    hash: () => hashAll(blobs),
    compress: () => compressAll(blobs, compressed),
    frames: () => compressAll(blobs, keptStreams()),
    store: () => storeAll(blobs),
  }
  const times: Record<keyof typeof contenders, number[]> = { hash: [], compress: [], frames: [], store: [] }
  for (let round = 0; round < scaled(5, options, 3); round++)
    for (const [name, run] of Object.entries(contenders)) times[name as keyof typeof times].push(await run())
  const bytes = blobs.reduce((sum, { length }) => sum + length, 0)
  const ours = named('stored', times.store, bytes)
  const row = (name: string, theirs: readonly number[], bar?: number): Row => ({
    what: `store ${blobs.length} blobs of 1 to 64 KiB, ${name}`,
    ours,
    theirs: named(name, theirs, bytes),
    ratio: median(times.store.map((time, round) => time / (theirs[round] as number))),
    ...(bar !== undefined && { bar }),
  })
  // 0.7 of the speed is 1/0.7 of the time.
  return [
    row('hashed alone', times.hash),
    row('zstdCompress alone', times.compress, 1 / 0.7),
    row('compressed alone, quickest', times.frames, 1 / 0.7),
  ]
}

/** Parts of one text, so that all of them need no more memory than it. */
function blobsOf(count: number, options: BenchOptions): Uint8Array[] {
  const text = Buffer.from(sourceLike(1)('', scaled(TEXT_BYTES, options, 8 << 20)))
  let state = 7
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return Array.from({ length: count }, () => {
    const size = LEAST_BYTES + next(MOST_BYTES - LEAST_BYTES)
    const start = next(text.length - size)
    return text.subarray(start, start + size)
  })
}

function hashAll(blobs: readonly Uint8Array[]): number {
  const start = performance.now()
  for (const bytes of blobs) digestOf(bytes)
  return performance.now() - start
}

type Compress = (bytes: Uint8Array) => Promise<unknown>

function keptStreams(): Compress {
  const frames = zstdFrames()
  return (bytes) => frames.compress(bytes, LEVEL)
}

async function compressAll(blobs: readonly Uint8Array[], compress: Compress): Promise<number> {
  const start = performance.now()
  const underWay = new Set<Promise<unknown>>()
  for (const pack of packsOf(blobs)) {
    const done = compress(pack).finally(() => underWay.delete(done))
    underWay.add(done)
    if (underWay.size >= 16) await Promise.race(underWay)
  }
  await Promise.all(underWay)
  return performance.now() - start
}

function* packsOf(blobs: readonly Uint8Array[]): Generator<Uint8Array> {
  let pack = Buffer.allocUnsafeSlow(PACK_BYTES)
  let used = 0
  for (const bytes of blobs) {
    if (used + bytes.length > pack.length) {
      yield pack.subarray(0, used)
      pack = Buffer.allocUnsafeSlow(PACK_BYTES)
      used = 0
    }
    pack.set(bytes, used)
    used += bytes.length
  }
  yield pack.subarray(0, used)
}

function compressed(bytes: Uint8Array): Promise<void> {
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL }
  const room = bytes.length + (bytes.length >> 8) + 1024
  return new Promise((resolve, reject) => {
    zstdCompress(bytes, { params, chunkSize: room, pledgedSrcSize: bytes.length }, (error) =>
      error === null ? resolve() : reject(error),
    )
  })
}

async function storeAll(blobs: readonly Uint8Array[]): Promise<number> {
  const dir = mkdtempSync(path.join(process.env.RECUE_BENCH_DIR ?? os.tmpdir(), 'recue-bench-store-100k-'))
  try {
    await using store = await openLocalStore({ dir, compression: LEVEL })
    const start = performance.now()
    let ahead = 0
    const underWay = new Set<Promise<unknown>>()
    for (let first = 0; first < blobs.length; first += TURN_BLOBS) {
      const turn = blobs.slice(first, first + TURN_BLOBS)
      const bytes = turn.reduce((sum, { length }) => sum + length, 0)
      ahead += bytes
      const digests = turn.map(digestOf)
      await store.blobs.missing(DEFAULT_SCOPE, digests)
      const writes = turn.map((blob, i) =>
        store.blobs.write(DEFAULT_SCOPE, digests[i] as ReturnType<typeof digestOf>, blob),
      )
      const done = Promise.all(writes).finally(() => {
        underWay.delete(done)
        ahead -= bytes
      })
      underWay.add(done)
      if (ahead > UNDER_WAY_BYTES) await Promise.race(underWay)
    }
    await Promise.all(underWay)
    return performance.now() - start
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function named(what: string, times: readonly number[], bytes: number): string {
  const ms = median(times)
  return `${what} ${(ms / 1000).toFixed(2)} s, ${(bytes / ms / 1000).toFixed(0)} MB/s`
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

if (import.meta.main) await runAlone(store100k)
