/**
 * `npm run bench`: all benchmarks, or those named; prints the table, and writes it to `bench/RESULTS.md` when all ran.
 *
 *   node bench/run.ts [NAME…] [--scale 0.1]
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { type Benchmark, type Row, skippedRow, table } from './benchmark.ts'
import { compression } from './compression.ts'
import { disk } from './disk.ts'
import { hit200 } from './hit-200.ts'
import { hit10000Inputs } from './hit-10000-inputs.ts'
import { hitCompile } from './hit-compile.ts'
import { largeOutput } from './large-output.ts'
import { missOverhead } from './miss-overhead.ts'
import { peersFolder } from './peers.ts'
import { node } from './place.ts'
import { store100k } from './store-100k.ts'
import { tree10000 } from './tree-10000.ts'

const benchmarks: readonly Benchmark[] = [
  hit200,
  hitCompile,
  hit10000Inputs,
  missOverhead,
  tree10000,
  largeOutput,
  store100k,
  compression,
  disk,
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { scale: { type: 'string', default: '1' } },
})
const scale = Number(values.scale)
const unknown = positionals.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name))
if (unknown.length > 0)
  throw new Error(`no benchmark ${unknown.join(', ')}; there are ${benchmarks.map(({ name }) => name).join(', ')}`)

const rows: Row[] = []
for (const benchmark of benchmarks) {
  if (positionals.length > 0 && !positionals.includes(benchmark.name)) continue
  const own = await rowsOf(benchmark)
  process.stdout.write(`${benchmark.name}\n${table(own)}\n\n`)
  rows.push(...own)
}
if (positionals.length === 0) writeFileSync(path.join(peersFolder, 'RESULTS.md'), report(rows))

/** One benchmark that cannot run is a line of the table, not the end of the others. */
async function rowsOf(benchmark: Benchmark): Promise<readonly Row[]> {
  try {
    return await benchmark.run({ scale })
  } catch (error) {
    process.exitCode = 1
    return [skippedRow(benchmark.name, error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))]
  }
}

function report(all: readonly Row[]): string {
  return `# Results

Written by \`npm run build && npm run bench\` on ${new Date().toISOString().slice(0, 10)}; do not edit.

Whole processes, run in turn (A B C A B C …); times are medians, ratios are medians of the ratios of neighbouring runs.
Trust the ratios: times belong to the machine.${scale === 1 ? '' : ` Run at scale ${scale}: fewer files, bytes and rounds than the bars are meant for.`}

${table(all)}

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
