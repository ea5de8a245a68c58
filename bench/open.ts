import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { actionOf, storeWith } from './action-store.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, shownTime } from './benchmark.ts'
import { type Contender, median, once, pairedRuns, type Timing } from './paired-runs.ts'
import { bun, inFolder, node } from './place.ts'

/**
 * What opening a store of a million results and one look-up in it cost over starting the runtime: whole processes, ours
 * bundled as what is shipped is, against an empty executable of Bun and `node -e 0`.
 */
export const open: Benchmark = {
  name: 'open',
  run: (options) => inFolder('open', (folder) => measure(folder, options)),
}

const RESULTS = 1_000_000
const ROUNDS = 41
/** Milliseconds over the bare start. */
const BAR_MS = 3

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const count = scaled(RESULTS, options, 100)
  const dir = await storeWith(count)
  const args = [dir, actionOf(count >> 1).hash]
  const [compiled, empty] = [compile(folder, childSource, 'child'), compile(folder, emptySource(folder), 'empty')]
  const contenders: Contender[] = [
    { name: 'executable', argv: [compiled, ...args], cwd: folder },
    { name: 'empty executable', argv: [empty], cwd: folder },
    { name: 'Node bundle', argv: [node, bundle(folder), ...args], cwd: folder },
    { name: 'node -e 0', argv: [node, '-e', '0'], cwd: folder },
  ]
  const [bunOpen, bunBare, nodeOpen, nodeBare] = pairedRuns(contenders, scaled(ROUNDS, options, 5))
  if (!bunOpen || !bunBare || !nodeOpen || !nodeBare) throw new Error('a contender has no times')
  return [overRow(count, bunOpen, bunBare), overRow(count, nodeOpen, nodeBare)]
}

function overRow(count: number, ours: Timing, bare: Timing): Row {
  return {
    what: `open a store of ${count} results and look one up`,
    ours: `${ours.name} ${shownTime(ours.medianMs)}`,
    theirs: `${bare.name} ${shownTime(bare.medianMs)}`,
    ratio: median(ours.runsMs.map((ms, round) => ms - (bare.runsMs[round] ?? Number.NaN))),
    bar: BAR_MS,
    unit: 'ms more',
  }
}

const childSource = fileURLToPath(new URL('open-child.ts', import.meta.url))

function emptySource(folder: string): string {
  const file = path.join(folder, 'empty.ts')
  writeFileSync(file, 'export {}\n')
  return file
}

/** As `scripts/build.ts` does it. */
function compile(folder: string, source: string, name: string): string {
  const file = path.join(folder, name)
  const flags = ['--compile', '--minify', '--bytecode', '--format=esm', '--splitting', '--compile-jit-policy=10']
  once({ name: 'bun build', argv: [bun, 'build', source, ...flags, `--outfile=${file}`], cwd: folder })
  return file
}

function bundle(folder: string): string {
  const flags = ['--target=node', '--main-fields=module', '--main-fields=main', '--format=cjs', '--minify-syntax']
  const command = path.join(folder, 'command.cjs')
  once({ name: 'bun build', argv: [bun, 'build', childSource, ...flags, `--outfile=${command}`], cwd: folder })
  const entry = path.join(folder, 'entry.cjs')
  writeFileSync(entry, "require('node:module').enableCompileCache(__dirname + '/code')\nrequire('./command.cjs')\n")
  return entry
}

if (import.meta.main) await runAlone(open)
