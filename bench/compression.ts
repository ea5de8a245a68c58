import { randomBytes } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import { type Compression, compressionOf } from '../src/store/local/compression.ts'
import { PACK_BYTES } from '../src/store/local/pack-builder.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled } from './benchmark.ts'
import { median } from './paired-runs.ts'

/**
 * What `auto` makes of each class of content in frames of the size of our packs, and at what speed, against fixed levels
 * and no compression: on a medium that is fast, where it must not be slower than level 1, and one of 20 MB/s, which is
 * counted and not waited for.
 */
export const compression: Benchmark = {
  name: 'compression',
  run: (options) => measure(options),
}

const SETTINGS = ['auto', 1, 3, 9, 'off'] as const
const FAST = 2000
const SLOW = 20
const MOST_BYTES = 8 << 20

async function measure(options: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const [name, bytes] of Object.entries(contents())) {
    for (const mbPerSecond of [FAST, SLOW]) {
      const runs = await runsOf(packsOf(bytes), mbPerSecond, scaled(9, options, 3))
      const auto = runs.get('auto') as Run
      for (const [setting, run] of runs) if (setting !== 'auto') rows.push(rowOf(name, mbPerSecond, auto, run, setting))
    }
  }
  return rows
}

interface Run {
  ratio: number
  readonly ms: number[]
}

/** In turn, so that a slow moment of the machine hits all; each with what it learned before. */
async function runsOf(packs: readonly Uint8Array[], mbPerSecond: number, rounds: number): Promise<Map<string, Run>> {
  const contenders = SETTINGS.map((setting) => ({ setting: String(setting), compression: compressionOf(setting) }))
  const runs = new Map(contenders.map(({ setting }): [string, Run] => [setting, { ratio: 1, ms: [] }]))
  for (let round = -1; round < rounds; round++) {
    for (const { setting, compression } of contenders) {
      const { ms, ratio } = await encodeAll(packs, compression, mbPerSecond)
      const run = runs.get(setting) as Run
      run.ratio = ratio
      if (round >= 0) run.ms.push(ms)
    }
  }
  return runs
}

/** Compressing and writing go on side by side: the time is that of the slower. */
async function encodeAll(
  packs: readonly Uint8Array[],
  compression: Compression,
  mbPerSecond: number,
): Promise<{ ms: number; ratio: number }> {
  const start = performance.now()
  const encoded = await Promise.all(packs.map((pack) => compression.encode(pack)))
  const encodeMs = performance.now() - start
  const stored = encoded.reduce((sum, { stored }) => sum + stored.length, 0)
  const writeMs = stored / mbPerSecond / 1000
  compression.wrote(stored, writeMs)
  return { ms: Math.max(encodeMs, writeMs), ratio: stored / packs.reduce((sum, { length }) => sum + length, 0) }
}

function rowOf(name: string, mbPerSecond: number, auto: Run, other: Run, setting: string): Row {
  const shown = (what: string, { ms, ratio }: Run) =>
    `${what} ${(ratio * 100).toFixed(1)} %, ${median(ms).toFixed(1)} ms`
  const ratio = median(auto.ms.map((ms, round) => ms / (other.ms[round] as number)))
  return {
    what: `${name}, medium of ${mbPerSecond} MB/s`,
    ours: shown('auto', auto),
    theirs: shown(setting === 'off' ? 'off' : `level ${setting}`, other),
    ratio,
    ...(setting === '1' && { bar: 1.05 }),
  }
}

function packsOf(bytes: Uint8Array): Uint8Array[] {
  const packs: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += PACK_BYTES) packs.push(bytes.subarray(at, at + PACK_BYTES))
  return packs
}

function contents(): Record<string, Uint8Array> {
  const root = path.resolve(import.meta.dirname, '..')
  const files = (pattern: string) => {
    const names = globSync(pattern, { cwd: root }).sort()
    const pieces: Buffer[] = []
    for (let bytes = 0, i = 0; i < names.length && bytes < MOST_BYTES; i++) {
      const piece = readFileSync(path.join(root, names[i] as string))
      pieces.push(piece)
      bytes += piece.length
    }
    return Buffer.concat(pieces).subarray(0, MOST_BYTES)
  }
  const sources = files('node_modules/{vite,zod,rolldown,vitest}/**/*.{js,mjs,ts}')
  const node = readFileSync(path.join(root, 'node_modules/node/bin/node'))
  return {
    sources,
    'source maps': files('node_modules/**/*.map'),
    lockfiles: files('{.,bench,test/e2e/packages}/package-lock.json'),
    'machine code': node.subarray(node.length >> 1, (node.length >> 1) + MOST_BYTES),
    gzip: gzipSync(Buffer.concat([sources, node.subarray(0, MOST_BYTES)])),
    'a deflated image': deflateSync(image(MOST_BYTES / 4)),
    random: randomBytes(MOST_BYTES),
    zeros: Buffer.alloc(MOST_BYTES),
  }
}

/** Neighbouring pixels differ a little, as in the scan lines of a PNG after its filter. */
function image(pixels: number): Buffer {
  const noise = randomBytes(pixels * 3)
  return Buffer.from(noise.map((byte) => (byte & 15) + (byte >> 7) * 3))
}

if (import.meta.main) await runAlone(compression)
