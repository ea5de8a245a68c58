import { spawnSync } from 'node:child_process'
import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { openLocalStore } from '../src/store/local/local-store.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, skippedRow } from './benchmark.ts'

/**
 * Two releases of a real package, one after the other, as what a build would make of them: what the second one takes with
 * `chunking: 'fastcdc'` and without, and what it costs in time. Fetched from the npm registry.
 */
export const chunking: Benchmark = {
  name: 'chunking',
  run: (options) => measure(options),
}

const ARTIFACTS = [
  { what: 'next as a tar', name: 'next', versions: ['15.5.20', '15.5.21'], member: undefined },
  { what: 'bun', name: '@oven/bun-linux-x64', versions: ['1.4.4', '1.4.5'], member: 'package/bin/bun' },
]
const HOW = ['off', 'fastcdc'] as const

async function measure(options: BenchOptions): Promise<Row[]> {
  const folder = mkdtempSync(path.join(process.env.RECUE_BENCH_DIR ?? os.tmpdir(), 'recue-bench-chunking-'))
  try {
    const rows: Row[] = []
    for (const { what, name, versions, member } of ARTIFACTS) {
      const files = versions.map((version) => artifact(folder, name, version, member))
      const [before, after] = files
      if (before === undefined || after === undefined) rows.push(skippedRow(what, 'the npm registry cannot be reached'))
      else rows.push(...(await compare(folder, what, [before, after], options)))
    }
    return rows
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The package as an uncompressed tar, or one file of it. */
function artifact(folder: string, name: string, version: string, member: string | undefined): string | undefined {
  const packed = spawnSync('npm', ['pack', '--silent', `${name}@${version}`], { cwd: folder, encoding: 'utf8' })
  if (packed.status !== 0) return undefined
  const tar = path.join(folder, `${packed.stdout.trim()}.tar`)
  writeFileSync(tar, gunzipSync(readFileSync(path.join(folder, packed.stdout.trim()))))
  if (member === undefined) return tar
  const target = `${tar}.member`
  const { stdout } = spawnSync('tar', ['-xOf', tar, member], { maxBuffer: 1 << 30 })
  writeFileSync(target, stdout)
  return target
}

interface Measured {
  readonly firstBytes: number
  readonly secondBytes: number
  readonly storeMs: number
  readonly readMs: number
}

async function compare(
  folder: string,
  what: string,
  files: readonly [string, string],
  options: BenchOptions,
): Promise<Row[]> {
  const rounds: Record<(typeof HOW)[number], Measured[]> = { off: [], fastcdc: [] }
  for (let round = 0; round < scaled(5, options, 3); round++)
    for (const how of HOW) rounds[how].push(await inStore(path.join(folder, 'cache'), how, files))
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  const [off, on] = [rounds.off[0] as Measured, rounds.fastcdc[0] as Measured]
  const size = `${what}, ${mib(statSync(files[1]).size)}`
  const bytesRow = (text: string, key: 'firstBytes' | 'secondBytes'): Row => ({
    what: `${size}: ${text}`,
    ours: `in chunks ${mib(on[key])}`,
    theirs: `whole ${mib(off[key])}`,
    ratio: on[key] / off[key],
  })
  const timeRow = (text: string, key: 'storeMs' | 'readMs'): Row => ({
    what: `${size}: ${text}`,
    ours: `in chunks ${median(rounds.fastcdc.map((one) => one[key])).toFixed(0)} ms`,
    theirs: `whole ${median(rounds.off.map((one) => one[key])).toFixed(0)} ms`,
    ratio: median(rounds.fastcdc.map((one, i) => one[key] / (rounds.off[i] as Measured)[key])),
  })
  return [
    bytesRow('stored for the first release', 'firstBytes'),
    bytesRow('stored for the next release', 'secondBytes'),
    timeRow('store the next release', 'storeMs'),
    timeRow('read the next release', 'readMs'),
  ]
}

async function inStore(dir: string, how: (typeof HOW)[number], files: readonly [string, string]): Promise<Measured> {
  rmSync(dir, { recursive: true, force: true })
  try {
    await using store = await openLocalStore({ dir, chunking: how })
    await store.blobs.ingest(DEFAULT_SCOPE, createReadStream(files[0], { highWaterMark: 1 << 18 }))
    const firstBytes = storedBytes(dir)
    const [digest, storeMs] = await timed(() =>
      store.blobs.ingest(DEFAULT_SCOPE, createReadStream(files[1], { highWaterMark: 1 << 18 })),
    )
    const secondBytes = storedBytes(dir) - firstBytes
    const [, readMs] = await timed(async () => {
      let bytes = 0
      for await (const chunk of (await store.blobs.read(DEFAULT_SCOPE, digest)) ?? []) bytes += chunk.length
      if (bytes !== digest.sizeBytes) throw new Error('not read whole')
    })
    return { firstBytes, secondBytes, storeMs, readMs }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function storedBytes(dir: string): number {
  return ['journal', 'blobs'].reduce((sum, room) => {
    const names = readdirSync(path.join(dir, room), { recursive: true, encoding: 'utf8' })
    return sum + names.reduce((all, name) => all + fileBytes(path.join(dir, room, name)), 0)
  }, 0)
}

function fileBytes(file: string): number {
  const stats = statSync(file)
  return stats.isFile() ? stats.size : 0
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now()
  const value = await work()
  return [value, performance.now() - start]
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] as number
}

if (import.meta.main) await runAlone(chunking)
