import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { installed } from './installed.ts'
import { type Contender, once, pairedRuns, type Timing } from './paired-runs.ts'
import { alone, executable, inPlace } from './place.ts'
import { serveRecue } from './served.ts'

/** Hits of ccache through recue's storage helper beside ccache's own HTTP client, with nothing in ccache's own folder. */
export const ccacheHelper: Benchmark = {
  name: 'ccache-helper',
  run: async (options) => {
    const why = missing()
    return why === undefined
      ? inPlace('ccache-helper', (folder) => measure(folder, options))
      : [skippedRow('ccache, hits at a server', why)]
  },
}

/** Another than the one in the PATH, which is often too old to start helpers. */
const PROGRAM = process.env.RECUE_BENCH_CCACHE ?? 'ccache'
const FILES = 50

function missing(): string | undefined {
  if (!installed('gcc')) return 'no gcc'
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(String(spawnSync(PROGRAM, ['--version']).stdout)) ?? []
  return Number(major) * 100 + Number(minor) >= 413 ? undefined : 'no ccache 4.13'
}

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  await using server = await serveRecue(folder, 'executable')
  const host = `${server.http.host}:${server.http.port}`
  const helper = path.join(folder, 'ccache-storage-recue')
  symlinkSync(executable, helper)
  const contenders = [
    contender(folder, 'ccache itself', `http://${host}/ccache`),
    contender(folder, 'helper, server', `recue://${host} helper=${helper} idle-timeout=30s`),
    contender(folder, 'helper, no server', `recue:/// helper=${helper} idle-timeout=30s`),
  ]
  for (const each of contenders) once(each)
  try {
    const [theirs, served, local] = pairedRuns(contenders, scaled(15, options, 3)) as [Timing, Timing, Timing]
    const what = `ccache, ${FILES} hits at a server`
    return [rowOf(what, served, theirs), rowOf(`${what}, or on this machine`, local, theirs)]
  } finally {
    for (const { env } of contenders)
      spawnSync(PROGRAM, ['--stop-storage-helpers'], { env: { ...process.env, ...env }, stdio: 'ignore' })
  }
}

function contender(folder: string, name: string, storage: string): Contender {
  const cwd = path.join(folder, name.replaceAll(/\W+/g, '-'))
  mkdirSync(cwd)
  const names = Array.from({ length: FILES }, (_, i) => `f${i}`)
  for (const file of names)
    writeFileSync(path.join(cwd, `${file}.c`), `int ${file}(int a) { return a + ${file.length}; }\n`)
  const script = `for f in ${names.join(' ')}; do ${PROGRAM} gcc -c $f.c -o $f.o || exit 1; done`
  const env = {
    ...alone(cwd),
    CCACHE_DIR: path.join(cwd, '.ccache'),
    CCACHE_REMOTE_STORAGE: storage,
    CCACHE_REMOTE_ONLY: '1',
  }
  return { name, argv: ['sh', '-c', script], cwd, env }
}

if (import.meta.main) await runAlone(ccacheHelper)
