import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { writeFiles } from './files.ts'
import { type Contender, once, pairedRuns } from './paired-runs.ts'
import { alone, executable, inPlace, primed } from './place.ts'

/** Many inputs, none of them changed: the time it takes to be sure of that, against git, which does the same. */
export const hit10000Inputs: Benchmark = {
  name: 'hit-10000-inputs',
  run: (options) => inPlace('hit-10000', (folder) => measure(folder, options)),
}

function measure(folder: string, options: BenchOptions): Row[] {
  const tree = path.join(folder, 'tree')
  const count = scaled(10_000, options)
  writeFiles(path.join(tree, 'src'), count, 1_000)
  const git = (...args: string[]) => once({ name: 'git', argv: ['git', ...args], cwd: tree })
  git('init', '-q')
  git('add', '-A')
  git('-c', 'user.name=bench', '-c', 'user.email=bench@localhost', 'commit', '-q', '-m', 'Tree')
  const env = alone(folder)
  const contenders: Contender[] = [
    { name: 'git status', argv: ['git', 'status'], cwd: tree },
    primed({ name: 'executable, -i src', argv: [executable, 'run', '-i', 'src', '--', 'true'], cwd: tree, env }),
    primed({ name: 'executable, no -i', argv: [executable, 'run', '--', 'true'], cwd: tree, env }),
  ]
  // git, too, looks again at files that are as young as its index.
  for (let round = 0; round < 2; round++) for (const contender of contenders) once(contender)
  const [status, named, all] = pairedRuns(contenders, scaled(31, options, 3))
  if (!status || !named || !all) throw new Error('a contender has no times')
  const what = `hit over ${count} unchanged inputs`
  return [rowOf(what, named, status, 1.5), rowOf(what, all, status, 1.5)]
}

if (import.meta.main) await runAlone(hit10000Inputs)
