import { renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { writeFiles } from './files.ts'
import { installed } from './installed.ts'
import { pairedRuns } from './paired-runs.ts'
import { alone, executable, inPlace, primed } from './place.ts'

/** A big tree of small files, out of the store against `cp -a` and into it against `tar | zstd -1`. */
export const tree10000: Benchmark = {
  name: 'tree-10000',
  run: (options) => inPlace('tree-10000', (folder) => measure(folder, options)),
}

function measure(folder: string, options: BenchOptions): Row[] {
  const count = scaled(10_000, options)
  writeFiles(path.join(folder, 'original'), count, 4_000)
  writeFileSync(path.join(folder, 'stamp'), 'one\n')
  return [...restoreRows(folder, count, scaled(9, options, 3)), ...storeRows(folder, count, scaled(9, options, 3))]
}

function restoreRows(folder: string, count: number, rounds: number): Row[] {
  const removed = (name: string) => () => rmSync(path.join(folder, name), { recursive: true, force: true })
  const copying = [executable, 'run', '-i', 'stamp', '-o', 'out', '--', 'cp', '-a', 'original', 'out'] as const
  const restore = primed({
    name: 'executable',
    argv: copying,
    cwd: folder,
    env: alone(folder),
    prepare: removed('out'),
  })
  const copy = {
    name: 'cp -a',
    argv: ['cp', '-a', 'original', 'copied'] as const,
    cwd: folder,
    prepare: removed('copied'),
  }
  const [ours, theirs] = pairedRuns([restore, copy], rounds)
  if (!ours || !theirs) throw new Error('a contender has no times')
  return [rowOf(`restore ${count} files`, ours, theirs, 1.2)]
}

/** The outputs lie there already and the command does nothing, so that storing is all there is to time. */
function storeRows(folder: string, count: number, rounds: number): Row[] {
  const what = `store ${count} files`
  if (!installed('zstd')) return [skippedRow(what, 'zstd is not installed')]
  rmSync(path.join(folder, 'copied'), { recursive: true, force: true })
  renameSync(path.join(folder, 'original'), path.join(folder, 'built'))
  const store = {
    name: 'executable',
    argv: [executable, 'run', '--no-clean', '-i', 'stamp', '-o', 'built', '--', 'true'] as const,
    cwd: folder,
    env: { ...alone(folder), RECUE_CACHE_DIR: path.join(folder, 'store-cache') },
    prepare: () => rmSync(path.join(folder, 'store-cache'), { recursive: true, force: true }),
  }
  const archive = {
    name: 'tar, zstd -1',
    argv: ['sh', '-c', 'tar c built | zstd -q -1 > built.tar.zst'] as const,
    cwd: folder,
    prepare: () => rmSync(path.join(folder, 'built.tar.zst'), { force: true }),
  }
  const [ours, theirs] = pairedRuns([store, archive], rounds)
  if (!ours || !theirs) throw new Error('a contender has no times')
  return [rowOf(what, ours, theirs, 2)]
}

if (import.meta.main) await runAlone(tree10000)
