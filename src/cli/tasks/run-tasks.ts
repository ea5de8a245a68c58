import { availableParallelism } from 'node:os'
import { posix } from 'node:path'
import type { LeftOutputs } from '../../action/outputs/left-outputs.ts'
import type { CommandTurn, RunNotice, RunOutcome } from '../../action/run-outcome.ts'
import { formatDuration } from '../../units/duration.ts'
import type { CommandContext } from '../command.ts'
import { reportFailure } from '../failure.ts'
import { writeAll } from '../output.ts'
import { outcomeLine } from '../run-line.ts'
import { whyMissed } from '../run-one.ts'
import { type RunReport, type RunsReport, reportOf } from '../run-report.ts'
import { type Runner, runWork, type Showing } from '../runner.ts'
import type { Settings } from '../settings.ts'
import type { Paint } from '../terminal.ts'
import { openVoice, type Voice } from '../voice.ts'
import { taskNamed, taskWork, type Work, type WorkSource } from '../work.ts'
import { NO_MORE } from './command-turns.ts'
import { LeftTasks, NOT_FETCHED } from './left-tasks.ts'
import { isAskedFor, isBuiltOn, type Plan, planOf } from './plan.ts'
import { concurrencyOf, schedule, type TaskEnd } from './schedule.ts'
import { openScreen, type Screen } from './screen.ts'
import { groupedOutput, prefixedOutput, prefixOf, type TaskOutput } from './task-output.ts'

type TakeTurn = () => Promise<CommandTurn>
type TaskWork = Work & { readonly task: string }
type Context = Pick<CommandContext, 'args' | 'commandLine' | 'output' | 'options' | 'environment'>

/** Runs tasks and those they depend on, as many at once as the cores allow. The exit code is that of the first failure. */
export async function runTasks(
  context: Context,
  source: WorkSource,
  runner: Runner,
): Promise<{ readonly exitCode: number; readonly report: RunsReport }> {
  const startedMs = performance.now()
  const plan = planOf(context.args, source)
  const team = new Team(plan, context, source, runner)
  const concurrency = concurrencyOf(source.settings.concurrency, availableParallelism())
  // One at a time: some count on the order, and an input that is read early would be an old one.
  const ahead = runner.remote === undefined || concurrency === 1 ? 0 : AHEAD
  using interruption = hearInterruption()
  const notRun = await schedule(plan, {
    ...{ concurrency, ahead },
    isStopped: () => interruption.exitCode !== undefined,
    keepGoing: source.settings.continue,
    run: (name, takeTurn) => team.run(name, takeTurn),
  })
  if (interruption.exitCode !== undefined) team.exitCode = interruption.exitCode
  return { exitCode: team.exitCode, report: team.finish(notRun, performance.now() - startedMs) }
}

/** Look-ups on a remote cache while others' commands run; a key costs a little of the processor they use. */
const AHEAD = 16

/** The children that run hear of it themselves and are waited for; after them nothing new is begun. */
function hearInterruption(): Disposable & { readonly exitCode: number | undefined } {
  let exitCode: number | undefined
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
  const names = Object.keys(codes) as (keyof typeof codes)[]
  const hear = (name: NodeJS.Signals) => {
    exitCode ??= codes[name as keyof typeof codes]
  }
  for (const name of names) process.on(name, hear)
  return {
    get exitCode() {
      return exitCode
    },
    [Symbol.dispose]() {
      for (const name of names) process.off(name, hear)
    },
  }
}

/** Several tasks that share a screen. */
class Team {
  exitCode = 0
  readonly #plan: Plan
  readonly #context: Context
  readonly #source: WorkSource
  readonly #runner: Runner
  readonly #screen: Screen
  readonly #left: LeftTasks | undefined
  readonly #running = new Set<string>()
  readonly #keys = new Map<string, string>()
  readonly #reports: RunReport[] = []
  #done = 0

  constructor(plan: Plan, context: Context, source: WorkSource, runner: Runner) {
    this.#plan = plan
    this.#context = context
    this.#source = source
    this.#runner = runner
    if (runner.remote !== undefined && source.settings.remoteDownload !== 'all')
      this.#left = new LeftTasks(plan, (name, turn) => this.#fetch(name, turn))
    const { stderr, stdout } = context.output
    const isLive = stderr.terminal.isTerminal && !source.settings.quiet && !isInCi(context.environment)
    this.#screen = openScreen({
      stderr: stderr.terminal,
      stdoutIsTerminal: stdout.terminal.isTerminal,
      progress: isLive ? () => this.#progress() : undefined,
    })
  }

  /** One task. What went wrong before its command could run is said here. */
  async run(name: string, takeTurn: TakeTurn): Promise<TaskEnd> {
    const end = await this.#try(name, takeTurn, (output, turn) => this.#runTask(name, output, turn))
    if (end === 'good' || end === 'failed') this.#done++
    return end
  }

  /** Once more, so that its outputs are here for a command that needs them; what it printed was shown. */
  async #fetch(name: string, takeTurn: TakeTurn): Promise<TaskEnd> {
    const taken: CommandTurn[] = []
    const turn = async () => {
      const one = await takeTurn()
      taken.push(one)
      return one
    }
    const end = await this.#try(name, turn, (output, ownTurn) => this.#fetchTask(name, output, ownTurn))
    // The turn is that of the task which needs it, and comes before its own.
    for (const one of taken) one.giveBack()
    return end
  }

  async #try(
    name: string,
    takeTurn: TakeTurn,
    work: (output: TaskOutput, turn: TakeTurn) => Promise<number>,
  ): Promise<TaskEnd> {
    const output = this.#outputOf(name)
    const turn = async () => {
      const taken = await takeTurn()
      this.#running.add(name)
      return taken
    }
    try {
      const exitCode = await work(output, turn)
      if (exitCode === 0) return 'good'
      this.#failed(exitCode)
      return 'failed'
    } catch (error) {
      output.end()
      if (error === NO_MORE) return 'not-begun'
      if (error === NOT_FETCHED) return 'lacking'
      this.#failed(reportFailure(error, this.#stderr(), { verbose: this.#source.settings.verbose }))
      return 'failed'
    } finally {
      this.#running.delete(name)
    }
  }

  /** Takes the live line away and says how it went. */
  finish(notRun: readonly string[], durationMs: number): RunsReport {
    this.#screen[Symbol.dispose]()
    const savedMs = this.#reports.reduce((sum, report) => sum + report.savedMs, 0)
    const { paint } = this.#context.output.stderr.terminal
    const voice = this.#voice((text) => writeAll(2, text))
    if (notRun.length > 0)
      voice.say(`${paint('yellow', 'not run')}, since something before failed: ${notRun.join(', ')}`)
    voice.say(summary(this.#reports, { failed: this.#failures, savedMs, durationMs, paint }))
    return { runs: this.#reports, notRun, exitCode: this.exitCode, durationMs: Math.round(durationMs), savedMs }
  }

  #failures = 0

  #failed(exitCode: number): void {
    this.#failures++
    if (this.exitCode === 0) this.exitCode = exitCode
  }

  async #runTask(name: string, output: TaskOutput, turn: TakeTurn): Promise<number> {
    const work = this.#workOf(name)
    // A task without a command stands for those it depends on.
    if (work === undefined) return 0
    const left = await this.#left?.before(name, turn)
    if (this.#left === undefined || this.#isFetched(name)) return this.#runWork(work, { output, turn, left })
    const tasks = this.#left
    const onLeft = isBuiltOn(name, this.#plan, this.#source)
      ? (outputs: LeftOutputs) => tasks.add(name, outputs)
      : undefined
    return this.#runWork(withSettings(work, { remoteDownload: 'none' }), { output, turn, left, onLeft })
  }

  async #fetchTask(name: string, output: TaskOutput, turn: TakeTurn): Promise<number> {
    const work = this.#workOf(name)
    if (work === undefined) return 0
    const outputLogs = work.settings.outputLogs === 'full' ? 'new-only' : work.settings.outputLogs
    return this.#runWork(withSettings(work, { outputLogs }), { output, turn })
  }

  /** As for one whose outputs are fetched. */
  #workOf(name: string): TaskWork | undefined {
    const { args, commandLine } = this.#context
    const extra = args.length === 1 && args[0] === name ? commandLine : undefined
    const alone = taskWork(name, extra ?? [], { ...this.#source, dependencyKeys: this.#keys })
    if (alone === undefined) return undefined
    const scratch = [...alone.settings.scratch, ...outputsOfOthers(name, this.#plan, this.#source)]
    return { ...withSettings(alone, { scratch, remoteDownload: 'all' }), task: name }
  }

  #isFetched(name: string): boolean {
    if (this.#source.settings.remoteDownload !== 'toplevel') return false
    return isAskedFor(name, this.#context.args, this.#plan, this.#source)
  }

  async #runWork(
    work: TaskWork,
    { output, ...how }: Pick<Showing, 'turn' | 'left' | 'onLeft'> & { output: TaskOutput },
  ) {
    const { task } = work
    const voice = this.#voice((text) => this.#screen.write(2, text), task)
    const showing = { ...how, sink: output, notice: (notice: RunNotice) => voice.notice(notice) }
    const outcome = await runWork(work, this.#runner, showing)
    output.end()
    const why = await whyMissed(work, outcome, this.#runner)
    // Without a key nothing can stand for what the task made: what depends on it is then never replayed.
    this.#keys.set(task, outcome.key?.hash ?? `unknown at ${outcome.startedMs}`)
    this.#report(reportOf(work, why === undefined ? outcome : { ...outcome, reason: why }))
    this.#sayOutcome(outcome, voice, why, work.settings.outputLogs)
    return outcome.exitCode
  }

  /** What came of a task in the end. */
  #report(report: RunReport): void {
    const before = this.#reports.findIndex(({ task }) => task === report.task)
    if (before !== -1) this.#reports.splice(before, 1)
    this.#reports.push(report)
  }

  #sayOutcome(outcome: RunOutcome, voice: Voice, why: string | undefined, outputLogs: string): void {
    const { paint } = this.#context.output.stderr.terminal
    const line = outcomeLine(outcome, { paint, why })
    // A result that is not kept because the command failed says so itself.
    const isSaid = outcome.exitCode === 0 || (outcome.status === 'uncached' && outcome.reason?.includes('failed'))
    const failed = isSaid ? '' : `${paint('red', `failed (exit code ${outcome.exitCode})`)} · `
    if (outputLogs !== 'none' || outcome.exitCode !== 0) voice.say(failed + line)
  }

  #outputOf(name: string): TaskOutput {
    const { output, environment, options } = this.#context
    const { paint } = output.stderr.terminal
    const index = [...this.#plan.keys()].indexOf(name)
    const screen = options.json ? onStderr(this.#screen) : this.#screen
    const style = this.#source.settings.outputStyle ?? (isInCi(environment) ? 'grouped' : 'prefixed')
    if (style === 'grouped') return groupedOutput(paint('bold', `── ${name}`), screen)
    return prefixedOutput(prefixOf(name, index, output.stdout.terminal.paint), screen)
  }

  #voice(write: (text: string) => void, name?: string): Voice {
    const { paint } = this.#context.output.stderr.terminal
    const { quiet, verbose } = this.#source.settings
    const named = (text: string) => write(name === undefined ? text : text.replace('recue: ', `recue: ${name}: `))
    return openVoice({ write: named, paint, quiet, verbose })
  }

  #stderr(): CommandContext['output']['stderr'] {
    const { terminal } = this.#context.output.stderr
    const write = (bytes: Uint8Array | string) => this.#screen.write(2, bytes)
    return { terminal, write, line: (text = '') => write(`${text}\n`) }
  }

  #progress() {
    const hits = this.#reports.filter(({ status }) => status === 'hit').length
    return { total: this.#plan.size, done: this.#done, hits, running: [...this.#running] }
  }
}

function withSettings<W extends Work>(work: W, settings: Partial<Settings>): W {
  return { ...work, settings: { ...work.settings, ...settings } }
}

/** Globs relative to the root of what other tasks make meanwhile: this one did not make it. */
function outputsOfOthers(name: string, plan: Plan, source: WorkSource): readonly string[] {
  const others = [...plan.keys()].filter((other) => other !== name).map((other) => taskNamed(other, source))
  return others.flatMap(({ cwd = '', outputs = [] }) =>
    outputs.flatMap((output) => {
      const path = posix.join(cwd, output).replace(/\/$/, '')
      return [path, `${path}/**`]
    }),
  )
}

/** With `--json`, standard output is the report's. */
function onStderr(screen: Screen): Screen {
  return { write: (_, bytes) => screen.write(2, bytes), [Symbol.dispose]: () => {} }
}

function isInCi({ CI }: Readonly<Record<string, string | undefined>>): boolean {
  return CI !== undefined && CI !== '' && CI !== 'false' && CI !== '0'
}

function summary(
  reports: readonly RunReport[],
  { failed, savedMs, durationMs, paint }: { failed: number; savedMs: number; durationMs: number; paint: Paint },
): string {
  const hits = reports.filter(({ status }) => status === 'hit').length
  const left = reports.filter(({ isLeft }) => isLeft).length
  const parts = [
    `${reports.length} ${reports.length === 1 ? 'task' : 'tasks'}`,
    `${paint('green', String(hits))} ${hits === 1 ? 'hit' : 'hits'}`,
    ...(left === 0 ? [] : [`outputs of ${left} not fetched`]),
    ...(failed === 0 ? [] : [paint('red', `${failed} failed`)]),
    ...(savedMs === 0 ? [] : [`saved ${formatDuration(savedMs)}`]),
    paint('dim', formatDuration(durationMs)),
  ]
  return parts.join(' · ')
}
