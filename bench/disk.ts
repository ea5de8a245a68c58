import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { digestOf } from '../src/digest/sha256.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { openLocalStore } from '../src/store/local/local-store.ts'
import { type RealProject, realProjects } from '../test/e2e/real-project.ts'
import { type Benchmark, type Row, runAlone, skippedRow } from './benchmark.ts'
import { installed } from './installed.ts'

/** What the outputs of real builds take on disk in a store of their own, its index included, beside their bytes. */
export const disk: Benchmark = {
  name: 'disk',
  run: () => inFolder(measure),
}

async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = realpathSync(mkdtempSync(path.join(process.env.RECUE_BENCH_DIR ?? os.tmpdir(), 'recue-bench-disk-')))
  try {
    return await body(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

type Blobs = ReadonlyMap<string, Uint8Array>

async function measure(folder: string): Promise<Row[]> {
  const rows: Row[] = []
  const all = new Map<string, Uint8Array>()
  for (const project of realProjects) {
    if (project.outputs.length === 0) continue
    const what = `kept on disk: ${project.name}`
    const absent = project.needs.find((program) => !installed(program))
    if (absent !== undefined) {
      rows.push(skippedRow(what, `${absent} is not installed`))
      continue
    }
    const blobs = outputsOf(project, path.join(folder, String(rows.length)))
    for (const [hash, bytes] of blobs) all.set(hash, bytes)
    rows.push(await kept(what, path.join(folder, `cache-${rows.length}`), blobs))
  }
  // An empty store takes 60 kB, which one small bundle does not make up for.
  return [...rows, { ...(await kept('kept on disk: all of them', path.join(folder, 'cache'), all)), bar: 0.5 }]
}

async function kept(what: string, dir: string, blobs: Blobs): Promise<Row> {
  {
    await using store = await openLocalStore({ dir })
    await Promise.all([...blobs.values()].map((bytes) => store.blobs.write(DEFAULT_SCOPE, digestOf(bytes), bytes)))
  }
  const content = [...blobs.values()].reduce((sum, { length }) => sum + length, 0)
  const stored = filesIn(dir).reduce((sum, file) => sum + statSync(file).size, 0)
  const kb = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`
  return { what, ours: kb(stored), theirs: `${blobs.size} blobs of ${kb(content)}`, ratio: stored / content }
}

function outputsOf(project: RealProject, folder: string): Blobs {
  mkdirSync(folder)
  build(project, folder)
  const files = project.outputs.flatMap((output) => filesIn(path.join(folder, output)))
  return new Map(
    files.map((file) => {
      const bytes = readFileSync(file)
      return [digestOf(bytes).hash, bytes]
    }),
  )
}

function build(project: RealProject, folder: string): void {
  project.write(folder)
  const [program = '', ...args] = project.command
  const bin = path.resolve(import.meta.dirname, '../node_modules/.bin')
  const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` }
  const { status, stderr } = spawnSync(program, args, { cwd: folder, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${project.name}: ${stderr.slice(0, 500)}`)
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [path.join(entry.parentPath, entry.name)] : [],
  )
}

if (import.meta.main) await runAlone(disk)
