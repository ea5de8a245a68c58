import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { ServerAddress } from '../server-address.ts'
import { remoteOf, TOKEN, type Tool, type Trial } from '../tool.ts'
import type { Finding } from './finding.ts'

export interface TrialOptions {
  readonly address: ServerAddress
  readonly tool: Tool
  readonly trial: Trial
  readonly nonce: string
  /** Where tools of a project are looked for, upwards. */
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** How this recue is started. */
  readonly self: readonly string[]
  readonly signal: AbortSignal
}

/** For one command line. The first start of some tools unpacks them. */
const COMMAND_MS = 120_000
const SAID_CHARACTERS = 200

/** Builds a tiny project twice with the real tool, the second time with nothing left but what the server has. */
export async function tryTool(options: TrialOptions): Promise<Finding> {
  const { tool, trial, cwd } = options
  const path = [...binFolders(cwd), options.environment.PATH ?? ''].join(delimiter)
  const missing = trial.programs.find((program) => programIn(path, program) === undefined)
  if (missing !== undefined) return finding(tool, 'skip', `${missing} is not installed: the tool itself was not tried`)
  if (trial.needsModules && modulesWith(trial.programs, cwd) === undefined)
    return finding(tool, 'skip', `${tool.name} is not in this project's node_modules: the tool itself was not tried`)
  const place = mkdtempSync(join(tmpdir(), 'recue-check-'))
  const folder = join(place, 'project')
  try {
    const build = () => buildOnce(options, { folder, path })
    const first = await build()
    if (first.failure !== undefined)
      return finding(tool, 'fail', `the first build failed: ${first.failure}`, ending(first.said))
    const second = await build()
    if (second.failure !== undefined)
      return finding(tool, 'fail', `the second build failed: ${second.failure}`, ending(second.said))
    const words = trial.hit.exec(second.said)?.[0].trim().split('\n').at(-1)?.trim().replace(/\s+/g, ' ')
    if (!trial.hit.test(second.said))
      return finding(tool, 'fail', 'built twice, and the second build was no hit', ending(second.said))
    return finding(tool, 'ok', `built twice with the real tool: the second was a hit${words ? ` (${words})` : ''}`)
  } finally {
    if (trial.end !== undefined) await called(trial.end, options, { folder, path }).catch(() => undefined)
    rmSync(place, { recursive: true, force: true })
  }
}

interface Built {
  readonly said: string
  readonly failure: string | undefined
}

interface Where {
  readonly folder: string
  readonly path: string
}

async function buildOnce(options: TrialOptions, where: Where): Promise<Built> {
  const { trial, nonce, cwd, address } = options
  const { folder } = where
  rmSync(dirname(folder), { recursive: true, force: true })
  for (const [name, text] of Object.entries(trial.files(nonce))) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const modules = modulesWith(trial.programs, cwd)
  if (trial.needsModules && modules !== undefined) symlinkSync(modules, join(folder, 'node_modules'))
  if (trial.isRepository) commitAll(folder)
  let said = ''
  for (const line of trial.build) {
    const flags = trial.flags?.(remoteOf(address), address.token) ?? []
    const argv = line.flatMap((word) => (word === '--flags--' ? flags : [word]))
    const { status, text } = await called(argv, options, where)
    said += text
    if (status !== 0) return { said, failure: `${argv[0]} ended with ${status}` }
  }
  return { said, failure: undefined }
}

/** Standard output and error together: each tool has its own way. */
async function called(
  [program = '', ...words]: readonly string[],
  { address, tool, trial, environment, self, signal }: TrialOptions,
  { folder, path }: Where,
): Promise<{ readonly status: number | string; readonly text: string }> {
  const variables = tool.setup(remoteOf(address), { has: () => false, versionOf: () => undefined }).environment
  const own = variables.map(({ name, value }) => [name, value.replaceAll(TOKEN, () => address.token ?? '')])
  const child = spawn(program, words, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...environment,
      NO_COLOR: '1',
      DO_NOT_TRACK: '1',
      ...Object.fromEntries(own),
      ...trial.environment(folder, self),
      PATH: path,
    },
    signal: AbortSignal.any([signal, AbortSignal.timeout(COMMAND_MS)]),
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece))
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ status: error.message, text }))
    // What it leaves running may hold its output open.
    child.once('exit', (code, by) => setImmediate(() => resolve({ status: code ?? String(by), text })))
  })
}

function commitAll(folder: string): void {
  const git = (...words: string[]) => execFileSync('git', words, { cwd: folder, stdio: 'ignore' })
  git('init', '-q')
  git('add', '-A')
  git('-c', 'user.name=recue', '-c', 'user.email=recue@localhost', 'commit', '-q', '--no-verify', '-m', 'All')
}

function* upwards(folder: string): Generator<string> {
  yield folder
  if (dirname(folder) !== folder) yield* upwards(dirname(folder))
}

/** Those from which the tool can load itself. */
function modulesWith([program = '']: readonly string[], cwd: string): string | undefined {
  const all = [...upwards(cwd)].map((folder) => join(folder, 'node_modules'))
  return all.find((modules) => existsSync(join(modules, '.bin', program)))
}

function binFolders(cwd: string): readonly string[] {
  return [...upwards(cwd)].map((folder) => join(folder, 'node_modules/.bin')).filter(existsSync)
}

function programIn(path: string, program: string): string | undefined {
  return path.split(delimiter).find((folder) => folder !== '' && existsSync(join(folder, program)))
}

/** The last that it said, in a line. */
function ending(said: string): string {
  return `It said: ${said.trim().replace(/\s+/g, ' ').slice(-SAID_CHARACTERS)}`
}

function finding({ name }: Tool, status: Finding['status'], what: string, hint?: string): Finding {
  return { name, status, what, ...(hint !== undefined && { hint }) }
}
