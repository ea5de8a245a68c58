import { rmSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { type Contender, once, pairedRuns, type Timing } from './paired-runs.ts'
import { moon, nx, turboNative, wireit } from './peers.ts'
import { alone, executable, inPlace, node, nodeEntry, primed } from './place.ts'
import { writeProject } from './project.ts'

/** The hit that people feel: 200 inputs, 200 outputs of 10 kB, as the runners of the field do it. */
export const hit200: Benchmark = {
  name: 'hit-200',
  run: (options) => inPlace('hit-200', (folder) => measure(folder, options)),
}

const command = ['run', '-i', 'src', '-i', 'build.mjs', '-o', 'dist', '--', node, 'build.mjs']

function measure(folder: string, options: BenchOptions): Row[] {
  const contenders = (group: string, make: readonly ((project: string) => Contender)[]) =>
    make.map((contender, index) => contender(writeProject(path.join(folder, `${group}-${index}`))))
  const fast = contenders('fast', [bareNode, ours(folder, [executable]), ours(folder, [node, nodeEntry]), turboNative])
  const slow = contenders('slow', [ours(folder, [executable]), nx, moon, wireit])
  const rows: Row[] = []
  for (const state of ['intact', 'deleted'] as const) {
    rows.push(...fastRows(state, pairedRuns(ready(fast, state), scaled(31, options, 3))))
    rows.push(...slowRows(state, pairedRuns(ready(slow, state), scaled(7, options, 2))))
  }
  nx.stop(slow[1]?.cwd ?? folder)
  return rows
}

function bareNode(project: string): Contender {
  return { name: 'node -e 0', argv: [node, '-e', '0'], cwd: project }
}

/** Each contender has a project of its own: who finds files that another has just written would have to read them all. */
function ours(folder: string, [program, ...entry]: readonly [string, ...string[]]): (project: string) => Contender {
  return (project) =>
    primed({
      name: entry.length === 0 ? 'executable' : 'on Node',
      argv: [program, ...entry, ...command],
      cwd: project,
      env: alone(folder),
    })
}

function ready(contenders: readonly Contender[], state: 'intact' | 'deleted'): Contender[] {
  return contenders.map((contender) => {
    once(contender)
    if (state === 'intact') return contender
    return { ...contender, prepare: () => rmSync(path.join(contender.cwd, 'dist'), { recursive: true, force: true }) }
  })
}

function fastRows(state: 'intact' | 'deleted', timings: readonly Timing[]): Row[] {
  const [floor, ours, onNode, turbo] = timings as [Timing, Timing, Timing, Timing]
  const [bar, nodeBar] = state === 'intact' ? [0.55, 1.6] : [1.0, 2.6]
  return [
    rowOf(`hit, 200 + 200 files, outputs ${state}`, ours, floor, bar),
    rowOf(`hit, 200 + 200 files, outputs ${state}`, onNode, floor, nodeBar),
    rowOf(`hit, 200 + 200 files, outputs ${state}`, ours, turbo, 1),
  ]
}

function slowRows(state: string, timings: readonly Timing[]): Row[] {
  const [ours, ...peers] = timings as [Timing, ...Timing[]]
  return peers.map((peer) => rowOf(`hit, 200 + 200 files, outputs ${state}`, ours, peer))
}

if (import.meta.main) await runAlone(hit200)
