import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { installed } from './installed.ts'
import { type Contender, once, pairedRuns, type Timing } from './paired-runs.ts'
import { inPlace } from './place.ts'
import { type Serving, serveBazelRemote, serveRecue } from './served.ts'

/**
 * A whole Bazel build all of whose results are at the server: each source of some npm packages compressed, archives of twenty of
 * those, and one of all. One Bazel, which goes on between builds as it does on people's machines and forgets what it made.
 */
export const bazelBuild: Benchmark = {
  name: 'bazel-build',
  run: async (options) => {
    const lacking = ['bazel', 'taskset', 'bazel-remote'].find((program) => !installed(program))
    if (lacking !== undefined) return [skippedRow('bazel build, all remote hits', `${lacking} is not installed`)]
    return inPlace('bazel', (folder) => measure(folder, options))
  },
}

const ROUNDS = 7
const WARM_UP = 3
const BAR = 1.05
const SOURCES = 300
const IN_AN_ARCHIVE = 20
const modules = path.join(import.meta.dirname, '../node_modules')

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const project = path.join(folder, 'project')
  const actions = writeProject(project, scaled(SOURCES, options, IN_AN_ARCHIVE))
  await using ours = await serveRecue(folder, 'executable')
  await using theirs = (await serveBazelRemote(folder)) as Serving
  const bazel = (...words: string[]): Contender => ({
    name: 'bazel',
    argv: ['bazel', `--output_user_root=${folder}/bazel`, ...words],
    cwd: project,
    env: { HOME: folder },
  })
  try {
    const contenders = [ours, theirs].map((server) => ({
      ...bazel('build', '--jobs=32', `--remote_cache=grpc://${server.grpc?.host}:${server.grpc?.port}`, '//:all'),
      name: server.name,
      prepare: () => void once(bazel('clean')),
    }))
    for (const contender of contenders) {
      // Fills it.
      once({ ...contender, argv: [...contender.argv, '--spawn_strategy=local'] })
      const said = once(contender)
      if (!said.includes(`${actions} remote cache hit`))
        throw new Error(`not all ${actions} actions were hits: ${said.slice(-300)}`)
      // A team's server has been at work for a while.
      for (let build = 0; build < WARM_UP; build++) once(contender)
    }
    const before = [ours.cpuMicros(), theirs.cpuMicros()] as const
    const rounds = scaled(ROUNDS, options, 3)
    const [recue, bazelRemote] = pairedRuns(contenders, rounds) as [Timing, Timing]
    // One round more than those that are counted.
    const perBuild = [ours.cpuMicros() - before[0], theirs.cpuMicros() - before[1]].map(
      (micros) => micros / (rounds + 1),
    )
    const what = `bazel build, ${actions} remote hits`
    return [rowOf(what, recue, bazelRemote, BAR), processorRow(what, perBuild as [number, number])]
  } finally {
    once(bazel('shutdown'))
  }
}

/** Of the server alone; for information. */
function processorRow(what: string, [ours, theirs]: readonly [number, number]): Row {
  const shown = (micros: number) => `${(micros / 1000).toFixed(0)} ms`
  return {
    what: `${what}: server's processor`,
    ours: `recue ${shown(ours)}`,
    theirs: `bazel-remote ${shown(theirs)}`,
    ratio: ours / theirs,
  }
}

/** How many actions it takes to build it. */
function writeProject(project: string, count: number): number {
  mkdirSync(path.join(project, 'src'), { recursive: true })
  const sources = sourcesIn(['zod', '@types/node', 'protobufjs', '@grpc/grpc-js', 'vite', 'typescript']).slice(0, count)
  for (const [i, source] of sources.entries()) writeFileSync(path.join(project, `src/${i}`), readFileSync(source))
  const archives = Array.from({ length: Math.ceil(sources.length / IN_AN_ARCHIVE) }, (_, i) => i)
  const rules = [
    ...sources.map((_, i) => rule(`${i}.gz`, [`src/${i}`], 'gzip -nc $< > $@')),
    ...archives.map((i) => rule(`${i}.a`, names(sources.length, i), 'cat $(SRCS) > $@')),
    rule(
      'all-of-it',
      archives.map((i) => `${i}.a`),
      'cat $(SRCS) > $@',
    ),
  ]
  writeFileSync(path.join(project, 'WORKSPACE'), '')
  writeFileSync(path.join(project, 'BUILD'), rules.join(''))
  return rules.length
}

function names(count: number, archive: number): string[] {
  const first = archive * IN_AN_ARCHIVE
  return Array.from({ length: Math.min(IN_AN_ARCHIVE, count - first) }, (_, i) => `${first + i}.gz`)
}

function rule(output: string, sources: readonly string[], command: string): string {
  return `genrule(name = "make-${output}", srcs = ${JSON.stringify(sources)}, outs = ["${output}"], cmd = "${command}")\n`
}

/** From a kilobyte on, always in the same order. */
function sourcesIn(packages: readonly string[]): string[] {
  return packages.flatMap((name) =>
    readdirSync(path.join(modules, name), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(?:[cm]?[jt]s|map)$/.test(file))
      .toSorted()
      .map((file) => path.join(modules, name, file))
      .filter((file) => statSync(file).size >= 1024),
  )
}

if (import.meta.main) await runAlone(bazelBuild)
