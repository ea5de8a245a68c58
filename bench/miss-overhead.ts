import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { writeFiles } from './files.ts'
import { pairedRuns } from './paired-runs.ts'
import { alone, executable, inPlace } from './place.ts'

/** What a run costs that finds nothing: key, capture and storing, over the bare command. */
export const missOverhead: Benchmark = {
  name: 'miss-overhead',
  run: (options) => inPlace('miss-overhead', (folder) => measure(folder, options)),
}

function measure(folder: string, options: BenchOptions): Row[] {
  writeFiles(path.join(folder, 'src'), 200, 10_000)
  const seconds = scaled(10, options)
  const build = ['sh', '-c', `sleep ${seconds}; rm -rf dist; cp -r src dist`] as const
  let round = 0
  // Another input each time, so that each run is a miss; bare and cached alike find the file new.
  const prepare = () => writeFileSync(path.join(folder, 'src/changing.js'), `export const round = ${round++}\n`)
  const contenders = [
    { name: `bare ${seconds} s build`, argv: build, cwd: folder, prepare },
    {
      name: 'executable, a miss',
      argv: [executable, 'run', '-i', 'src', '-o', 'dist', '--', ...build] as const,
      cwd: folder,
      env: alone(folder),
      prepare,
    },
  ]
  const [bare, miss] = pairedRuns(contenders, scaled(3, options))
  if (!bare || !miss) throw new Error('a contender has no times')
  return [rowOf(`miss, a ${seconds} s build of 200 files`, miss, bare, 1.03)]
}

if (import.meta.main) await runAlone(missOverhead)
