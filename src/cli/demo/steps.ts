import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { sha256Hex } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import type { RunReport } from '../run-report.ts'
import { selfCommand } from '../self-command.ts'
import type { DemoProject } from './project.ts'

/** One step as it was measured. */
export interface DemoStep {
  readonly name: string
  /** What recue made of it; undefined for the bare command. */
  readonly status: RunReport['status'] | undefined
  readonly reason: string | undefined
  /** Wall time with the start of the process, in milliseconds: the median where it was done several times. */
  readonly durationMs: number
  readonly times: number
}

export interface DemoResult {
  readonly steps: readonly DemoStep[]
  readonly outputs: { readonly files: number; readonly bytes: number }
  /** The outputs restored are those the bare command made, byte for byte and with the same modes. */
  readonly isSame: boolean
}

export interface Workshop {
  readonly project: DemoProject
  /** The project's folder. */
  readonly folder: string
  readonly cacheDir: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  /** Called when a step begins. */
  readonly onStep: (name: string) => void
}

/** The first one finds nothing in the file system's cache, which would flatter us. */
const BARE_TIMES = 3
/** A hit is over so soon that one alone would be chance. */
const TIMES = 7

/** Builds bare, builds with an empty cache, then asks again in the ways that happen every day. */
export async function demoSteps(shop: Workshop): Promise<DemoResult> {
  const { folder, project } = shop
  const output = join(folder, project.output)
  const clean = () => rmSync(output, { recursive: true, force: true })
  const steps: DemoStep[] = []
  const step = async (name: string, times: number, before: () => void, recue: boolean) => {
    shop.onStep(name)
    steps.push(await measured(shop, { name, times, before, recue }))
  }
  await step('without recue', BARE_TIMES, clean, false)
  const built = treeOf(output)
  await step('with recue, first run', 1, clean, true)
  await step('outputs deleted, again', TIMES, clean, true)
  const restored = treeOf(output)
  await step('nothing deleted, again', TIMES, () => {}, true)
  appendFileSync(join(folder, project.touched.path), `\n${project.touched.line}\n`)
  await step('one file changed', 1, () => {}, true)
  return { steps, outputs: { files: built.files, bytes: built.bytes }, isSame: built.hash === restored.hash }
}

async function measured(
  shop: Workshop,
  { name, times, before, recue }: { name: string; times: number; before: () => void; recue: boolean },
): Promise<DemoStep> {
  const durations: number[] = []
  let report: RunReport | undefined
  for (let i = 0; i < times; i++) {
    before()
    const startedMs = performance.now()
    const stdout = await runToEnd(shop, recue)
    durations.push(performance.now() - startedMs)
    if (recue) report = JSON.parse(stdout) as RunReport
  }
  const durationMs = durations.sort((a, b) => a - b)[times >> 1] as number
  return { name, status: report?.status, reason: report?.reason ?? undefined, durationMs, times }
}

async function runToEnd(shop: Workshop, recue: boolean): Promise<string> {
  const { project, folder, signal } = shop
  const inputs = project.inputs.flatMap((input) => ['-i', input])
  const recueWords = [...selfCommand(), 'run', '--json', '--quiet', ...inputs, '-o', project.output, '--']
  const [program = '', ...words] = recue ? [...recueWords, ...project.argv] : project.argv
  const child = spawn(program, words, {
    cwd: folder,
    env: environmentOf(shop),
    signal,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] }
  child.stdout.on('data', (chunk: Buffer) => said.stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => said.stderr.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code === 0) return Buffer.concat(said.stdout).toString()
  const last = Buffer.concat([...said.stdout, ...said.stderr])
    .toString()
    .trim()
    .split('\n')
    .slice(-3)
    .join(' ')
  throw new CacheError('usage', `${project.argv.join(' ')} failed: ${last}`, { hint: 'The demo cannot go on.' })
}

/** None of the person's own settings of recue: the demo has a cache of its own, and shows what recue does by itself. */
function environmentOf({ environment, project, cacheDir, folder }: Workshop): NodeJS.ProcessEnv {
  const others = Object.entries(environment).filter(([name]) => !name.startsWith('RECUE_'))
  const path = [...project.path, environment.PATH ?? ''].join(delimiter)
  return {
    ...Object.fromEntries(others),
    PATH: path,
    RECUE_CACHE_DIR: cacheDir,
    RECUE_ROOT: folder,
    XDG_CONFIG_HOME: cacheDir,
  }
}

/** One hash over all paths, modes and contents. */
function treeOf(folder: string): { hash: string; files: number; bytes: number } {
  const lines: string[] = []
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const content = readFileSync(path)
    bytes += content.length
    lines.push(`${path} ${lstatSync(path).mode & 0o777} ${sha256Hex(content)}`)
  }
  return { hash: sha256Hex(lines.sort().join('\n')), files: lines.length, bytes }
}
