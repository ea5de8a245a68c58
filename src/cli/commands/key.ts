import type { KeyedAction } from '../../action/key/keyed-action.ts'
import { CacheError } from '../../errors.ts'
import { storedMessages, withMessages } from '../../observe/messages.ts'
import { thingOf } from '../../observe/thing.ts'
import { type Why, why } from '../../observe/why.ts'
import { shortWhy } from '../../observe/why-text.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { changeLines } from '../explanation.ts'
import { type KeyParts, keyParts } from '../key-parts.ts'
import type { Stream } from '../output.ts'
import { KEY_OPTIONS } from '../run-options.ts'
import { readAll } from '../stdin.ts'
import { oneLine } from '../table.ts'
import { planOf } from '../tasks/plan.ts'
import { quoted, taskWork, type Work, type WorkSource, worksAsked } from '../work.ts'

const OPTIONS = {
  explain: { kind: 'flag', short: 'x', summary: 'Show the parts of the key, and what changed since the last run.' },
  ...KEY_OPTIONS,
} as const
type Context = CommandContext<typeof OPTIONS>

export const command = defineCommand({
  name: 'key',
  summary: 'Print the key of a command or task, and what is in it',
  usage: ['key [--explain] [OPTIONS] -- COMMAND…', 'key [--explain] TASK…'],
  description:
    'The key that a run with the same options would look up, without running anything. Of variables only names are shown.\n' +
    'With --json, one object or an array: { label, key, parts, since: { kind, changes }, short }.',
  options: OPTIONS,
  takesCommand: true,
  examples: [
    { line: 'recue key -i src -- npm test', does: 'The key alone, for scripts.' },
    { line: 'recue key --explain build', does: 'What is in it, and what changed since the last run.' },
  ],
  exits: [{ code: 1, means: 'There is no key: the command can be run, but not kept.' }],
  async run(context) {
    await using session = await context.open({ evaluate: true, looksOnly: true })
    process.chdir(session.place.root)
    const found = await keysOf(context, session)
    if (context.options.json) printJson(context, found)
    else for (const one of found) printOne(context, one, found.length > 1)
    return found.some(({ parts }) => parts === undefined) ? 1 : 0
  },
})

interface Found {
  readonly work: Work
  /** Undefined where there is no key, for `reason`. */
  readonly parts: KeyParts | undefined
  readonly reason: string | undefined
  /** What changed since the last run. */
  readonly since: Why | undefined
}

/** A task's key holds those of the tasks before it, so all of them are made, and those that were asked for given. */
async function keysOf(context: Context, session: Session): Promise<Found[]> {
  const dependencyKeys = new Map<string, string>()
  const stdin = session.settings.stdin ? await readAll() : undefined
  const source: WorkSource = { ...session, environment: context.environment, stdin, dependencyKeys }
  const found: Found[] = []
  for (const work of worksInOrder(context, source)) {
    const one = await look(work, context, session)
    if (work.task !== undefined) dependencyKeys.set(work.task, one.parts?.key ?? '')
    if (work.task === undefined || context.args.includes(work.task)) found.push(one)
  }
  if (found.length === 0) throw new CacheError('usage', `${context.args.join(', ')}: there is no command in it.`)
  return found
}

function* worksInOrder(context: Context, source: WorkSource): Generator<Work> {
  if (context.args.length === 0) return yield* worksAsked(context, source)
  if (context.args.length > 1 && context.commandLine !== undefined) worksAsked(context, source)
  for (const name of planOf(context.args, source).keys()) {
    const extra = context.args.includes(name) ? context.commandLine : undefined
    const work = taskWork(name, extra ?? [], source)
    if (work !== undefined) yield work
  }
}

async function look(work: Work, { options }: Context, { cache }: Session): Promise<Found> {
  const keyed = await cache.key(work.request)
  if (keyed.kind === 'unkeyable') return { work, parts: undefined, reason: keyed.reason, since: undefined }
  const { action } = keyed
  const since = options.explain || options.json ? await changesSince(work, action, cache) : undefined
  return { work, parts: keyParts(action), reason: undefined, since }
}

async function changesSince({ task, request }: Work, action: KeyedAction, cache: Session['cache']): Promise<Why> {
  const { root, workingDirectory, argv } = request
  const messages = withMessages(storedMessages(cache.blobs, DEFAULT_SCOPE), () => [
    action.action,
    action.command,
    ...action.inputs.directories(),
  ])
  const thing = thingOf({ root, workingDirectory, task, argv })
  return why({ thing, after: action.key }, { ledger: cache.ledger, messages })
}

function printJson({ output }: Context, found: readonly Found[]): void {
  const all = found.map(({ work, parts, reason, since }) => ({
    label: work.label,
    key: parts?.key,
    reason,
    parts,
    since: since && { kind: since.kind, ...(since.kind === 'changed' && { changes: since.changes }) },
    short: since && shortWhy(since),
  }))
  output.json(all.length === 1 ? all[0] : all)
}

function printOne({ options, output }: Context, { work, parts, reason, since }: Found, isOneOfMany: boolean): void {
  const { stdout, stderr } = output
  const name = isOneOfMany ? `  ${oneLine(work.label)}` : ''
  if (parts === undefined) stderr.line(`recue: no key${name}: ${oneLine(reason ?? '')}`)
  else if (!options.explain) stdout.line(`${parts.key}${name}`)
  else {
    printParts(stdout, work, parts)
    if (since !== undefined) printSince(stdout, since)
    if (isOneOfMany) stdout.line()
  }
}

function printParts(stdout: Stream, { label }: Work, parts: KeyParts): void {
  const { paint } = stdout.terminal
  const field = (name: string, text: string) => stdout.line(`${paint('dim', name.padEnd(11))}${oneLine(text)}`)
  stdout.line(paint('bold', oneLine(label)))
  field('key', parts.key)
  field('command', parts.arguments.map(quoted).join(' '))
  field('directory', parts.workingDirectory || '.')
  field('inputs', `${parts.inputs} ${parts.inputs === 1 ? 'file' : 'files'}, tree ${parts.inputRoot.slice(0, 10)}`)
  field('outputs', parts.outputs.join(', ') || 'none')
  field('variables', parts.variables.join(', ') || 'none')
  for (const { name, value } of parts.properties) field(name, value)
}

function printSince(stdout: Stream, since: Why): void {
  if (since.kind === 'changed') {
    stdout.line('since the last run:')
    for (const line of changeLines(since, stdout.terminal, false)) stdout.line(`  ${line}`)
    return
  }
  const words = {
    'same-key': 'the same as in the last run',
    first: 'it has not been run yet',
    'not-comparable': 'another than in the last run, of which nothing is kept',
  }
  stdout.line(words[since.kind])
}
