import type { ActionDigest } from '../../digest/digest.ts'
import { CacheError, isCacheError } from '../../errors.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import type { TransferReport } from '../../store/tiered/tiered.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { SHOWN_DIGITS } from '../key-lookup.ts'
import { REMOTE_ACCESS_OPTIONS } from '../remote-options.ts'
import { RUN_OPTIONS } from '../run-options.ts'
import { planOf } from '../tasks/plan.ts'
import { taskWork, type Work } from '../work.ts'

const OPTIONS = { cache: RUN_OPTIONS.cache, ...REMOTE_ACCESS_OPTIONS } as const
type Context = CommandContext<typeof OPTIONS>

const FAILED_EXIT = 1

/** How it stands with one task after all was fetched that there is. */
interface Warmed {
  readonly task: string
  /** Undefined where it has none, for `reason`. */
  readonly key: ActionDigest | undefined
  readonly state: 'here' | 'fetched' | 'absent' | 'failed' | 'no-key'
  readonly reason: string | undefined
}

export const command = defineCommand({
  name: 'warm',
  summary: 'Fetch from the remote cache what the tasks would need now',
  usage: ['warm [TASK]…'],
  description:
    'The results of all tasks, or of those named and what they depend on, for the files as they are; into the cache here, with no change to the workspace. ' +
    'Where a task reads what another makes, its key is sure only once that has been restored: then run it, or warm again.\n' +
    'With --json: { place, tasks: [{ task, key, state, reason }], blobs, bytes }. state is here, fetched, absent, failed or no-key.',
  options: OPTIONS,
  arguments: { min: 0, max: Number.POSITIVE_INFINITY },
  examples: [
    { line: 'git pull && recue warm', does: 'Before a journey: what the others have built.' },
    { line: 'recue warm build', does: 'One task, and those that it depends on.' },
  ],
  exits: [{ code: FAILED_EXIT, means: 'Some of it could not be fetched. What nobody has made yet is no failure.' }],
  async run(context) {
    await using session = await context.open({ evaluate: true })
    process.chdir(session.place.root)
    const { openRemoteSession } = await import('../remote/remote-session.ts')
    await using remote = await openRemoteSession(context, session, 'read')
    const wanted = await wantedNow(context, session)
    const missing = wanted.flatMap(({ key, state }) => (key !== undefined && state === 'absent' ? [key] : []))
    const report = await remote.tier.pull(DEFAULT_SCOPE, missing, context.signal)
    await say(context, remote.place, await settled(wanted, report), report)
    return report.failed.length > 0 ? FAILED_EXIT : 0
  },
})

/** As a dry run makes the keys, and before anything is fetched. */
async function wantedNow(context: Context, session: Session): Promise<Warmed[]> {
  const { cache, project } = session
  const names = context.args.length > 0 ? context.args : [...(project?.tasks.keys() ?? [])]
  if (names.length === 0)
    throw new CacheError('usage', 'There are no tasks whose results could be fetched.', {
      hint: 'They stand in recue.config.json. Of a command line: recue run fetches what is there.',
    })
  const dependencyKeys = new Map<string, string>()
  const wanted: Warmed[] = []
  for (const task of planOf(names, session).keys()) {
    const source = { ...session, environment: context.environment, stdin: undefined, dependencyKeys }
    const work = taskWork(task, [], source)
    if (work === undefined) continue
    const key = await keyOf(work, cache)
    if ('reason' in key) {
      wanted.push({ task, key: undefined, state: 'no-key', reason: key.reason })
      continue
    }
    dependencyKeys.set(task, key.hash)
    const isHere = (await cache.actions.get(DEFAULT_SCOPE, key)).kind === 'hit'
    wanted.push({ task, key, state: isHere ? 'here' : 'absent', reason: undefined })
  }
  return wanted
}

/** What a task reads may still have to be made by another one. */
async function keyOf({ request }: Work, cache: Session['cache']): Promise<ActionDigest | { readonly reason: string }> {
  try {
    const keyed = await cache.key(request)
    return keyed.kind === 'unkeyable' ? keyed : keyed.action.key
  } catch (error) {
    const isToCome = isCacheError(error) && /^(input|command)\./.test(error.code)
    if (!isToCome) throw error
    return { reason: error.message }
  }
}

async function settled(wanted: readonly Warmed[], { absent, failed }: TransferReport): Promise<Warmed[]> {
  const { whyOf } = await import('../remote/transfer-words.ts')
  const gone = new Set(absent.map(({ hash }) => hash))
  const faults = new Map(failed.map(({ action, error }) => [action.hash, error]))
  return wanted.map((one) => {
    const { key, state } = one
    if (key === undefined || state !== 'absent' || gone.has(key.hash)) return one
    if (faults.has(key.hash)) return { ...one, state: 'failed', reason: whyOf(faults.get(key.hash)) }
    return { ...one, state: 'fetched' }
  })
}

async function say(
  { options, output }: Context,
  place: string,
  tasks: readonly Warmed[],
  { blobs, bytes }: TransferReport,
): Promise<void> {
  if (options.json) {
    const forPrograms = tasks.map(({ task, key, state, reason }) => {
      return { task, key: key?.hash ?? null, state, reason: reason ?? null }
    })
    return output.json({ place, tasks: forPrograms, blobs, bytes })
  }
  const { line, terminal } = output.stdout
  for (const { task, key, state, reason } of tasks) {
    const colour = state === 'here' || state === 'fetched' ? 'green' : 'yellow'
    const parts = [`${terminal.paint(colour, WORDS[state])} ${task}`, key?.hash.slice(0, SHOWN_DIGITS), reason]
    line(parts.filter((part) => part !== undefined).join(' · '))
  }
  if (blobs > 0) line(`Fetched ${formatSize(bytes)} in ${blobs} ${blobs === 1 ? 'blob' : 'blobs'} from ${place}.`)
}

const WORDS: Readonly<Record<Warmed['state'], string>> = {
  here: 'here',
  fetched: 'fetched',
  absent: 'absent',
  failed: 'failed',
  'no-key': 'no key',
}
