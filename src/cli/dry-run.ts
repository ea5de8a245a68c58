import type { KeyedAction } from '../action/key/keyed-action.ts'
import type { Cache } from '../cache.ts'
import { storedMessages, withMessages } from '../observe/messages.ts'
import { thingOf } from '../observe/thing.ts'
import { why } from '../observe/why.ts'
import { shortWhy } from '../observe/why-text.ts'
import { DEFAULT_SCOPE } from '../store/contracts.ts'
import { cacheModeOf } from './cache-mode.ts'
import type { CommandContext } from './command.ts'
import type { Runner } from './runner.ts'
import { planOf } from './tasks/plan.ts'
import { taskWork, type Work, type WorkSource, worksAsked } from './work.ts'

/** What would be done; for a program with `--json`. */
export interface DryRunReport {
  readonly task: string | null
  readonly command: readonly string[]
  readonly would: 'replay' | 'run'
  readonly key: string | null
  readonly inputs: number | null
  /** As declared. */
  readonly outputs: readonly string[]
  readonly reason: string | null
}

type Context = Pick<CommandContext, 'args' | 'commandLine' | 'output' | 'options'>

/** Says of each command whether it would be replayed or run, and changes nothing. */
export async function dryRun(context: Context, source: WorkSource, runner: Runner): Promise<number> {
  const { output, options, args } = context
  const reports: DryRunReport[] = []
  const keys = new Map<string, string>()
  for (const work of plannedWorks(context, source, keys)) {
    const report = await look(work, runner)
    if (work.task !== undefined) keys.set(work.task, report.key ?? '')
    reports.push(report)
    if (!options.json) output.stdout.line(lineOf(work, report, output.stdout.terminal.paint))
  }
  if (options.json) output.json(args.length === 0 || reports.length === 1 ? reports[0] : { runs: reports })
  return 0
}

function* plannedWorks(
  context: Context,
  source: WorkSource,
  dependencyKeys: ReadonlyMap<string, string>,
): Iterable<Work> {
  if (context.args.length === 0) return yield* worksAsked(context, source)
  for (const name of planOf(context.args, source).keys()) {
    const extra = context.args.length === 1 && context.args[0] === name ? context.commandLine : undefined
    const work = taskWork(name, extra ?? [], { ...source, dependencyKeys })
    if (work !== undefined) yield work
  }
}

async function look({ task, request, settings }: Work, { cache, withoutCache }: Runner): Promise<DryRunReport> {
  const common = { task: task ?? null, command: request.argv, outputs: request.outputs }
  const run = { ...common, would: 'run', key: null, inputs: null } as const
  if (cache === undefined) return { ...run, reason: withoutCache }
  const keyed = await cache.key(request)
  if (keyed.kind === 'unkeyable') return { ...run, reason: keyed.reason }
  const { key, inputs } = keyed.action
  const known = { ...common, key: key.hash, inputs: inputs.count }
  if (settings.interactive) return { ...known, would: 'run', reason: 'it is given the terminal' }
  if (settings.force) return { ...known, would: 'run', reason: 'it is forced' }
  if (!cacheModeOf(settings.cache).read) {
    return { ...known, would: 'run', reason: 'the cache is not to be read' }
  }
  const found = await cache.get(key)
  if (found.kind === 'miss') {
    const reason = (await whyAnew({ task, request }, keyed.action, cache)) ?? `nothing usable is kept: ${found.why}`
    return { ...known, would: 'run', reason }
  }
  if (found.result.exitCode !== 0 && !settings.cacheFailures) {
    return { ...known, would: 'run', reason: 'the kept result is a failure' }
  }
  return { ...known, would: 'replay', reason: null }
}

/** What changed since the last run, of a key whose messages nobody keeps yet. */
async function whyAnew(
  { task, request }: Pick<Work, 'task' | 'request'>,
  action: KeyedAction,
  cache: Cache,
): Promise<string | undefined> {
  const { root, workingDirectory, argv } = request
  const messages = withMessages(storedMessages(cache.blobs, DEFAULT_SCOPE), () => [
    action.action,
    action.command,
    ...action.inputs.directories(),
  ])
  const thing = thingOf({ root, workingDirectory, task, argv })
  return shortWhy(await why({ thing, after: action.key }, { ledger: cache.ledger, messages }))
}

function lineOf(
  { label }: Work,
  report: DryRunReport,
  paint: (colour: 'green' | 'yellow', text: string) => string,
): string {
  const { would, key, reason, inputs, outputs } = report
  const verb = would === 'replay' ? paint('green', 'would replay') : paint('yellow', 'would run')
  const parts = [
    key?.slice(0, 10),
    inputs === null ? undefined : `${inputs} ${inputs === 1 ? 'input' : 'inputs'}`,
    outputs.length === 0 ? undefined : `writes ${outputs.join(', ')}`,
    reason ?? undefined,
  ]
  return `${verb} ${label} · ${parts.filter((part) => part !== undefined).join(' · ')}`
}
