import path from 'node:path'
import { digestOf } from '../src/digest/sha256.ts'
import { BATCH_BLOB_BYTES, DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { readWhole } from '../src/store/read-whole.ts'
import { openBenchStore } from './action-store.ts'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { sourceLike } from './files.ts'
import { pairedRounds, type RoundContender } from './paired-rounds.ts'
import { importPeer } from './peers.ts'
import { inFolder } from './place.ts'

/**
 * Writes and reads of blobs, one after the other, against npm's own store: both name what they keep by its hash, and check
 * it at each read. Text like source, no two blobs the same; each round of reads with a store that was just opened.
 */
export const cacache: Benchmark = {
  name: 'cacache',
  run: (options) => inFolder('cacache', (folder) => measure(folder, options)),
}

/** What of `cacache` is used. */
interface Cacache {
  put(dir: string, key: string, content: Uint8Array): Promise<unknown>
  get(dir: string, key: string): Promise<{ readonly data: Uint8Array }>
}

const SIZES: readonly (readonly [name: string, bytes: number, times: number])[] = [
  ['100 B', 100, 300],
  ['1 KB', 1_000, 300],
  ['10 KB', 10_000, 300],
  ['100 KB', 100_000, 100],
  ['1 MB', 1_000_000, 20],
  ['10 MB', 10_000_000, 4],
  ['100 MB', 100_000_000, 1],
]
const ROUNDS = 3
const BAR = 1

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const peer = await importPeer<{ readonly default: Cacache }>('cacache')
  const rows: Row[] = []
  for (const [name, bytes, times] of SIZES) {
    const sides = [recueSide(path.join(folder, 'recue')), peerSide(path.join(folder, 'peer'), peer.default)]
    const blobs = blobsOf(bytes, scaled(times, options))
    rows.push(await timed(`write ${name}`, sides, blobs, 'write'))
    rows.push(await timed(`read ${name}`, sides, blobs, 'read'))
  }
  return rows
}

interface Side {
  readonly name: string
  write(round: number, blobs: readonly Blob[]): Promise<void>
  read(round: number, blobs: readonly Blob[]): Promise<void>
}

interface Blob {
  readonly content: Uint8Array
  readonly key: string
}

async function timed(
  what: string,
  sides: readonly Side[],
  blobs: readonly Blob[],
  act: 'write' | 'read',
): Promise<Row> {
  const contenders = sides.map((side): RoundContender => {
    let round = 0
    return { name: side.name, times: blobs.length, round: () => side[act](round++, blobs) }
  })
  const [ours, theirs] = await pairedRounds(contenders, ROUNDS)
  if (ours === undefined || theirs === undefined) throw new Error('a contender has no times')
  return rowOf(what, ours, theirs, BAR)
}

function blobsOf(bytes: number, count: number): Blob[] {
  const next = sourceLike(bytes)
  return Array.from({ length: count }, (_, i) => ({
    content: Buffer.from(next(`// ${i} of ${count}\n`, bytes)),
    key: `${bytes}/${i}`,
  }))
}

/** Other content in each round: what is kept once is kept. */
function ofRound({ content }: Blob, round: number): Uint8Array {
  const own = Buffer.from(content)
  own.write(`// round ${round}`)
  return own
}

function recueSide(dir: string): Side {
  return {
    name: 'recue',
    async write(round, blobs) {
      await using store = await openBenchStore(dir)
      for (const blob of blobs) {
        const content = ofRound(blob, round)
        await store.blobs.write(DEFAULT_SCOPE, digestOf(content), content)
      }
    },
    async read(round, blobs) {
      await using store = await openBenchStore(dir)
      for (const blob of blobs) {
        const digest = digestOf(ofRound(blob, round))
        const found =
          digest.sizeBytes > BATCH_BLOB_BYTES
            ? await drained(await store.blobs.read(DEFAULT_SCOPE, digest))
            : (await readWhole(store.blobs, DEFAULT_SCOPE, digest))?.length
        if (found !== digest.sizeBytes) throw new Error(`recue gave ${found} bytes of ${digest.sizeBytes}`)
      }
    },
  }
}

async function drained(bytes: AsyncIterable<Uint8Array> | undefined): Promise<number> {
  let length = 0
  for await (const chunk of bytes ?? []) length += chunk.length
  return length
}

function peerSide(dir: string, peer: Cacache): Side {
  return {
    name: 'cacache',
    async write(round, blobs) {
      for (const blob of blobs) await peer.put(dir, `${blob.key}/${round}`, ofRound(blob, round))
    },
    async read(round, blobs) {
      for (const blob of blobs) {
        // As ours, which has to name what it asks for.
        digestOf(ofRound(blob, round))
        const { data } = await peer.get(dir, `${blob.key}/${round}`)
        if (data.length !== blob.content.length) throw new Error(`cacache gave ${data.length} bytes`)
      }
    },
  }
}

if (import.meta.main) await runAlone(cacache)
