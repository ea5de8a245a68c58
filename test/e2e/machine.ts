import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Ended, Report, Runtime, Sandbox } from './runtimes.ts'
import type { Served } from './served.ts'

export interface Machine {
  readonly project: string
  /** What makes recue its own. */
  readonly env: Readonly<Record<string, string>>
  recue(args: readonly string[], env?: Readonly<Record<string, string>>): Ended
  /** The reports by task. */
  run(
    env: Readonly<Record<string, string>>,
    ...args: string[]
  ): Ended & { readonly reports: Readonly<Record<string, Report & { source: string | null; isLeft: boolean }>> }
}

/** A machine with a cache and a checkout of its own: one source file, and the config. */
export function machine(box: Sandbox, runtime: Runtime, name: string, config: unknown): Machine {
  const project = path.join(box.folder, name)
  mkdirSync(path.join(project, 'src'), { recursive: true })
  writeFileSync(path.join(project, 'src/a'), 'content')
  writeFileSync(path.join(project, 'recue.config.json'), JSON.stringify(config))
  const own = { RECUE_CACHE_DIR: path.join(box.folder, `${name}-cache`), RECUE_ROOT: project }
  const recue: Machine['recue'] = (args, env = {}) =>
    box.recue(runtime, args, { cwd: project, env: { ...own, ...env } })
  return {
    ...{ project, env: own, recue },
    run(env, ...args) {
      const file = path.join(box.folder, `${name}-report.json`)
      const ended = recue(['run', '--report', file, ...args], env)
      return { ...ended, reports: reportsIn(file) }
    },
  }
}

/** What `--report` wrote, by task. */
export function reportsIn(file: string): ReturnType<Machine['run']>['reports'] {
  const report = JSON.parse(readFileSync(file, 'utf8'))
  const runs: (Report & { task: string; source: string | null; isLeft: boolean })[] = report.runs ?? [report]
  return Object.fromEntries(runs.map((run) => [run.task, run]))
}

/** Variables that make a server the remote. */
export function remote(served: Served, token: string) {
  return {
    RECUE_REMOTE: served.url.replace(/^http/, 'grpc'),
    RECUE_REMOTE_TOKEN: token,
    RECUE_REMOTE_TIMEOUT: '10s',
  }
}
