import { rmSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { type Contender, once, pairedRuns, type Timing } from './paired-runs.ts'
import { moon, nx, turboNative, wireit } from './peers.ts'
import { alone, executable, inPlace, node, nodeEntry } from './place.ts'
import { writeProject } from './project.ts'

/** The hit that people feel: 200 inputs, 200 outputs of 10 kB, as the runners of the field do it. */
export const hit200: Benchmark = {
  name: 'hit-200',
  run: (options) => inPlace('hit-200', (folder) => measure(folder, options)),
}

const command = ['run', '-i', 'src', '-i', 'build.mjs', '-o', 'dist', '--', node, 'build.mjs']

function measure(folder: string, options: BenchOptions): Row[] {
  const project = path.join(folder, 'project')
  writeProject(project)
  const rows: Row[] = []
  for (const state of ['intact', 'deleted'] as const) {
    const prepare =
      state === 'deleted' ? () => rmSync(path.join(project, 'dist'), { recursive: true, force: true }) : undefined
    const with_ = (contender: Contender): Contender => (prepare ? { ...contender, prepare } : contender)
    const fast = [
      { name: 'node -e 0', argv: [node, '-e', '0'] as const, cwd: project },
      with_({ name: 'executable', argv: [executable, ...command], cwd: project, env: alone(folder) }),
      with_({ name: 'on Node', argv: [node, nodeEntry, ...command], cwd: project, env: alone(folder) }),
      with_(turboNative(project)),
    ]
    const slow = [
      with_({ ...fast[1], name: 'executable' } as Contender),
      ...[nx, moon, wireit].map((peer) => with_(peer(project))),
    ]
    for (const contender of [...fast, ...slow]) once(contender)
    rows.push(...fastRows(state, pairedRuns(fast, scaled(31, options, 3))))
    rows.push(...slowRows(state, pairedRuns(slow, scaled(7, options, 2))))
  }
  nx.stop(project)
  return rows
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
