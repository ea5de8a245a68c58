import { type SpawnSyncOptions, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export const repository = path.resolve(import.meta.dirname, '../..')

/** The two shapes in which recue is shipped; every test here runs on both. */
export interface Runtime {
  readonly name: string
  readonly argv: readonly string[]
}

export const runtimes: readonly Runtime[] = [
  { name: 'the executable', argv: [path.join(repository, 'dist/recue')] },
  { name: 'Node', argv: [process.execPath, path.join(repository, 'dist/node/recue.cjs')] },
]

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Report {
  readonly status: 'hit' | 'miss' | 'uncached' | 'bypassed'
  readonly exitCode: number
  readonly key?: string
  readonly outputs: readonly string[]
  readonly reason?: string
  readonly source?: string
}

/** A folder for one test with a cache and a home of its own, removed by `await using`. */
export interface Sandbox extends AsyncDisposable {
  readonly folder: string
  readonly home: string
  readonly cacheDir: string
  /** Runs recue in `cwd` (the sandbox's `project` folder unless said). */
  recue(runtime: Runtime, args: readonly string[], options?: RecueOptions): Ended
  /** `recue run ARGS`, with what `--report` says of it. */
  run(runtime: Runtime, args: readonly string[], options?: RecueOptions): Ended & { readonly report: Report }
}

export interface RecueOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  readonly input?: string
}

export function sandbox(name: string): Sandbox {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), `recue-e2e-${name}-`)))
  const home = path.join(folder, 'home')
  const cacheDir = path.join(folder, 'cache')
  let reports = 0
  const recue: Sandbox['recue'] = (runtime, args, options = {}) => {
    const [program = '', ...before] = runtime.argv
    return spawned(program, [...before, ...args], {
      cwd: options.cwd ?? path.join(folder, 'project'),
      env: { ...inherited(), HOME: home, RECUE_CACHE_DIR: cacheDir, ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      ...(options.input === undefined ? {} : { input: options.input }),
    })
  }
  return {
    folder,
    home,
    cacheDir,
    recue,
    run(runtime, args, options) {
      const file = path.join(folder, `report-${++reports}.json`)
      const ended = recue(runtime, ['run', '--report', file, ...args], options)
      return { ...ended, report: readReport(file, ended) }
    },
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The PATH of `npm run` and nothing that steers recue, its runtimes or colours. */
export function inherited(): Record<string, string | undefined> {
  const kept = ['PATH', 'TMPDIR', 'LANG', 'LC_ALL', 'SystemRoot']
  return Object.fromEntries(kept.map((name) => [name, process.env[name]]))
}

function spawned(program: string, args: readonly string[], options: SpawnSyncOptions): Ended {
  const result = spawnSync(program, args, { maxBuffer: 1 << 28, timeout: 240_000, ...options })
  if (result.error) throw result.error
  return { status: result.status, stdout: String(result.stdout), stderr: String(result.stderr) }
}

function readReport(file: string, ended: Ended): Report {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report
  } catch (cause) {
    throw new Error(`no report; exit ${ended.status}\n${ended.stdout.slice(-2000)}\n${ended.stderr.slice(-2000)}`, {
      cause,
    })
  }
}
