/**
 * `npm run bench`: all benchmarks, or those named; prints the table, and writes it to `bench/RESULTS.md` when all ran.
 *
 *   node bench/run.ts [--only NAME]… [--scale 0.1] [--curve]
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { type Benchmark, type Row, skippedRow, table } from './benchmark.ts'
import { peersFolder } from './peers.ts'
import { node } from './place.ts'

/** A line for each, in the order of the table. */
const benchmarks: readonly (() => Promise<Benchmark>)[] = [
  async () => (await import('./hit-200.ts')).hit200,
  async () => (await import('./hit-compile.ts')).hitCompile,
  async () => (await import('./hit-10000-inputs.ts')).hit10000Inputs,
  async () => (await import('./miss-overhead.ts')).missOverhead,
  async () => (await import('./tree-10000.ts')).tree10000,
  async () => (await import('./large-output.ts')).largeOutput,
  async () => (await import('./lookup.ts')).lookup,
  async () => (await import('./open.ts')).open,
  async () => (await import('./legacy.ts')).legacy,
  async () => (await import('./cacache.ts')).cacache,
  async () => (await import('./readers.ts')).readers,
  async () => (await import('./store-100k.ts')).store100k,
  async () => (await import('./compression.ts')).compression,
  async () => (await import('./disk.ts')).disk,
  async () => (await import('./eviction.ts')).eviction,
  async () => (await import('./collect.ts')).collectBenchmark,
  async () => (await import('./chunking.ts')).chunking,
  async () => (await import('./reflink.ts')).reflink,
  async () => (await import('./serve.ts')).serve,
  async () => (await import('./serve-memory.ts')).serveMemory,
  async () => (await import('./serve-workers.ts')).serveWorkers,
  async () => (await import('./bazel-build.ts')).bazelBuild,
  async () => (await import('./gocacheprog.ts')).gocacheprog,
  async () => (await import('./ccache-helper.ts')).ccacheHelper,
  async () => (await import('./grpc-unary.ts')).grpcUnary,
  async () => (await import('./sharded.ts')).sharded,
  async () => (await import('./remote-link.ts')).remoteLink,
  async () => (await import('./left-outputs.ts')).leftOutputs,
  async () => (await import('./availability.ts')).availability,
  async () => (await import('./faulty-remote.ts')).faultyRemote,
  async () => (await import('./s3.ts')).s3,
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: [] },
    curve: { type: 'boolean', default: false },
  },
})
const scale = Number(values.scale)
const wanted = [...values.only, ...positionals]
const all = await Promise.all(benchmarks.map((load) => load()))
const unknown = wanted.filter((name) => !all.some((benchmark) => benchmark.name === name))
if (unknown.length > 0)
  throw new Error(`no benchmark ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`)

const rows: Row[] = []
for (const benchmark of all) {
  const isNamed = wanted.includes(benchmark.name)
  if (wanted.length > 0 && !isNamed) continue
  if (benchmark.takesLong && !isNamed && !values.curve) {
    rows.push(
      skippedRow(benchmark.name, `it takes long, and runs by its name: node bench/run.ts --only ${benchmark.name}`),
    )
    continue
  }
  const start = performance.now()
  const own = await rowsOf(benchmark)
  const seconds = (performance.now() - start) / 1000
  process.stdout.write(`${benchmark.name}, ${seconds.toFixed(0)} s\n${table(own)}\n\n`)
  rows.push(...own)
}
if (wanted.length === 0) writeFileSync(path.join(peersFolder, 'RESULTS.md'), report(rows))

/** One benchmark that cannot run is a line of the table, not the end of the others. */
async function rowsOf(benchmark: Benchmark): Promise<readonly Row[]> {
  try {
    return await benchmark.run({ scale, curve: values.curve })
  } catch (error) {
    process.exitCode = 1
    return [skippedRow(benchmark.name, error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))]
  }
}

function report(rows: readonly Row[]): string {
  return `# Results

Written by \`npm run build && npm run bench\` on ${new Date().toISOString().slice(0, 10)}; do not edit.

Runs in turn (A B C A B C …); times are medians, ratios are medians of the ratios of neighbouring runs.
Trust the ratios: times belong to the machine.${scale === 1 ? '' : ` Run at scale ${scale}: fewer files, bytes and rounds than the bars are meant for.`}

${table(rows)}

Machine: ${os.cpus()[0]?.model ?? 'unknown'}, ${os.cpus().length} cores, ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB, ${os.type()} ${os.release()} ${os.arch()}.
Versions: ${versions().join(', ')}.
`
}

function versions(): string[] {
  const manifest = (file: string) =>
    JSON.parse(readFileSync(path.join(peersFolder, file), 'utf8')) as Record<string, Record<string, string>>
  const peers = Object.entries(manifest('package.json').dependencies ?? {}).map(
    ([name, version]) => `${name} ${version}`,
  )
  const first = (program: string, argument: string) => {
    const said = spawnSync(program, [argument], { encoding: 'utf8' }).stdout ?? ''
    return said.split('\n')[0]?.trim() || `${program} not installed`
  }
  const tools = [
    first('ccache', '--version'),
    first('gcc', '--version'),
    first('git', '--version'),
    first('zstd', '--version'),
  ]
  const bun = manifest('../package.json').devDependencies?.bun ?? ''
  return [
    `recue ${String(manifest('../package.json').version)}`,
    `node ${first(node, '--version').slice(1)}`,
    `bun ${bun}`,
    ...peers,
    ...tools,
  ]
}
