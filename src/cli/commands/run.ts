import { writeFileSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import type { RunOutcome } from '../../action/run-outcome.ts'
import type { Cache } from '../../cache.ts'
import { CacheError, isCacheError, systemCode } from '../../errors.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { REMOTE_OPTIONS } from '../remote-options.ts'
import { HitWitness } from '../repeat/hit-witness.ts'
import { repeatableAt } from '../repeat/repeatable.ts'
import { runOne } from '../run-one.ts'
import { KEY_OPTIONS, RUN_OPTIONS } from '../run-options.ts'
import { type CommandRemote, commandRemote } from '../run-remote.ts'
import type { Runner } from '../runner.ts'
import { type Configured, configureWithoutCache, openSession } from '../session.ts'
import type { Settings } from '../settings.ts'
import { quoted, type Work, type WorkSource, worksAsked } from '../work.ts'

const OPTIONS = { ...KEY_OPTIONS, ...RUN_OPTIONS, ...REMOTE_OPTIONS }
type Context = CommandContext<typeof OPTIONS>

export const command = defineCommand({
  name: 'run',
  summary: 'Run a command or tasks, or replay what they did',
  usage: ['run [OPTIONS] -- COMMAND…', 'run [OPTIONS] TASK…', 'run [OPTIONS] TASK -- ARGUMENTS…'],
  description:
    'Looks whether the same command ran before, over the same files, with the same environment. If it did, its outputs are restored and what it printed is printed again. If not, it runs, and the result is kept.',
  examples: [
    { line: 'recue run -i src -o dist -- npm run build', does: 'Reads src, writes dist.' },
    { line: 'recue run -- npm test', does: 'Reads the files of the repository; output and exit code alone are kept.' },
    { line: "recue run -e 'VITE_*' -o dist -- npx vite build", does: 'Variables that matter.' },
    { line: 'recue run build test', does: 'Tasks of recue.config.ts, and those they depend on, in parallel.' },
  ],
  exits: [
    {
      code: 125,
      means:
        "A mistake in flags, config or outputs, before the command ran. Otherwise the exit code is the command's own.",
    },
    { code: 126, means: 'The command may not be executed.' },
    { code: 127, means: 'The command was not found.' },
  ],
  options: OPTIONS,
  takesCommand: true,
  async run(context) {
    const witness = new HitWitness()
    const opened = await openForRun(context, witness)
    const remote = opened.cache && commandRemote(opened.configured, context)
    try {
      return await runIn(context, opened, remote, witness)
    } finally {
      using _line = opened.configured.settings.quiet ? undefined : remote?.showMoving()
      // Brings the folder back within its quota after a miss, and writes down what was used: after all was said.
      await opened.cache?.close().catch(() => undefined)
    }
  },
})

async function runIn(
  context: Context,
  { configured, cache, fault }: Opened,
  remote: CommandRemote | undefined,
  witness: HitWitness,
): Promise<number> {
  const { settings, place } = configured
  // Paths relative to the root are then what the kernel resolves fastest.
  process.chdir(place.root)
  checkTogether(context, configured)
  const stdin = settings.stdin ? await readStdin() : undefined
  const source: WorkSource = { ...configured, environment: context.environment, stdin }
  const { stdout, stderr } = context.output
  const { terminal } = settings.json ? stderr : stdout
  const runner: Runner = { cache, withoutCache: fault ?? 'the cache is switched off', remote, terminal }
  if (fault !== undefined && !settings.quiet) {
    stderr.line(`recue: ${stderr.terminal.paint('yellow', 'warning')}: ${fault}`)
  }
  if (settings.dryRun) {
    const { dryRun } = await import('../dry-run.ts')
    return dryRun(context, source, runner)
  }
  const [only] = isAlone(context, configured) ? worksAsked(context, source) : []
  if (only !== undefined) {
    const { outcome, report } = await runOne(only, { ...runner, witness }, context.output).catch((error: unknown) => {
      if (cache === undefined || !isCacheError(error) || error.code !== 'command.no-handles') throw error
      return runOneAlone(only, cache, runner, context.output)
    })
    writeReport(context, settings, report)
    if (cache !== undefined && outcome.status === 'hit')
      await keepForRepeat(context, cache, { work: only, outcome, witness })
    return outcome.exitCode
  }
  const { runTasks } = await import('../tasks/run-tasks.ts')
  const { exitCode, report } = await runTasks(context, source, runner)
  writeReport(context, settings, () => report)
  return exitCode
}

/** So that the next one like it need not be found out. */
async function keepForRepeat(
  { cwd, environment, options, output }: Context,
  cache: Cache,
  { work, outcome, witness }: { work: Work; outcome: RunOutcome; witness: HitWitness },
): Promise<void> {
  if (!witness.isSure) return
  const index = repeatableAt(cache, work.settings, { environment, startedMs: witness.startedMs })
  // Started elsewhere: there it is looked for.
  if (index === undefined || options.cwd !== undefined) return
  const { keepRepeat } = await import('../repeat/keep-repeat.ts')
  const { colours } = output.stdout.terminal
  keepRepeat(work, outcome, witness, { argv: process.argv, environment, cwd, cacheDir: cache.dir, colours, index })
}

/** The command goes before the cache: it has not begun, and what the cache held open may be enough for it. */
async function runOneAlone(
  work: Work,
  cache: Cache,
  runner: Runner,
  output: Context['output'],
): ReturnType<typeof runOne> {
  const { stderr } = output
  const fault = 'the cache is not used: too few files may be open at once. Raise the limit: ulimit -n 1024.'
  if (!work.settings.quiet) stderr.line(`recue: ${stderr.terminal.paint('yellow', 'warning')}: ${fault}`)
  await cache.close().catch(() => undefined)
  return runOne(work, { ...runner, cache: undefined, withoutCache: fault }, output)
}

interface Opened {
  readonly configured: Configured
  readonly cache: Cache | undefined
  /** Why there is no cache, where one was wanted: the command runs without. */
  readonly fault: string | undefined
}

async function openForRun(context: Context, witness: HitWitness): Promise<Opened> {
  const { given, cwd, environment } = context
  const request = { given, cwd, environment, evaluate: true, witness }
  if (isSwitchedOff(given)) {
    return { configured: await configureWithoutCache(request), cache: undefined, fault: undefined }
  }
  try {
    const session = await openSession(request)
    return { configured: session, cache: session.cache, fault: undefined }
  } catch (error) {
    const fault = storeFault(error)
    if (fault === undefined) throw error
    return { configured: await configureWithoutCache(request), cache: undefined, fault }
  }
}

/** By a flag or variable: what a config says of it is found in the cache. */
function isSwitchedOff(given: Context['given']): boolean {
  for (const { values } of given) {
    const said = values.get('cache')
    if ((Array.isArray(said) ? said.at(-1) : said) === 'off') return true
  }
  return false
}

/** What is the store's fault must not keep the command from running; what is the user's mistake must. */
function storeFault(error: unknown): string | undefined {
  if (isCacheError(error)) {
    if (!error.code.startsWith('store.')) return undefined
    return error.hint === undefined ? error.message : `${error.message} ${error.hint}`
  }
  return systemCode(error) === undefined ? undefined : `the cache cannot be used: ${(error as Error).message}`
}

function checkTogether({ args, commandLine, given }: Context, { settings }: Configured): void {
  if (args.length === 0 && commandLine === undefined) {
    throw new CacheError('usage', 'There is nothing to run.', {
      hint: 'Name a task, or a command after --: recue run -- npm test',
    })
  }
  const flags = given[0]?.values
  if (args.length > 0 && (flags?.has('input') || flags?.has('output'))) {
    throw new CacheError('usage', '-i and -o are for a command after --: a task has its own inputs and outputs.', {
      hint: `If ${args[0]} is a command, put -- before it: recue run … -- ${args.map(quoted).join(' ')}`,
    })
  }
  if (args.length > 1 && settings.interactive) throw new CacheError('usage', '--interactive is for one task alone.')
  if (args.length > 1 && settings.stdin) throw new CacheError('usage', '--stdin is for one task alone.')
  if (settings.interactive && settings.stdin)
    throw new CacheError('usage', '--interactive and --stdin exclude each other.')
}

/** One command with nothing before it: its output is its own, without a name before it. */
function isAlone({ args }: Context, { project }: Configured): boolean {
  const [name] = args
  if (name === undefined) return true
  const task = project?.tasks.get(name)
  // A task that is not there is alone, too: `worksAsked` says so.
  return args.length === 1 && (task === undefined || (task.command !== undefined && !task.dependsOn?.length))
}

async function readStdin(): Promise<Uint8Array> {
  const { readAll } = await import('../stdin.ts')
  return readAll()
}

function writeReport({ cwd, output }: Context, { json, report: file }: Settings, report: () => unknown): void {
  if (json) output.json(report())
  if (file === undefined) return
  try {
    writeFileSync(resolvePath(cwd, file), `${JSON.stringify(report(), undefined, 2)}\n`)
  } catch (error) {
    output.stderr.line(`recue: warning: the report was not written: ${(error as Error).message}`)
  }
}
