import { CacheError } from '../../errors.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { SHOWN_DIGITS } from '../key-lookup.ts'
import type { Warmed, WarmReport } from '../remote/warm-tasks.ts'
import { REMOTE_ACCESS_OPTIONS } from '../remote-options.ts'
import { RUN_OPTIONS } from '../run-options.ts'
import { type Plan, planOf } from '../tasks/plan.ts'

const OPTIONS = { cache: RUN_OPTIONS.cache, ...REMOTE_ACCESS_OPTIONS } as const
type Context = CommandContext<typeof OPTIONS>

const FAILED_EXIT = 1

export const command = defineCommand({
  name: 'warm',
  summary: 'Fetch from the remote cache what the tasks would need now',
  usage: ['warm [TASK]…'],
  description:
    'The results of all tasks, or of those named and what they depend on, for the files as they are; into the cache here, with no change to the workspace. ' +
    'What a task reads of another is taken to be what that one makes now. Where nobody has made that yet, ' +
    'the key of the first is not known, or not sure, and the reason says which task to run.\n' +
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
    const [{ openRemoteSession }, { warmTasks }] = await Promise.all([
      import('../remote/remote-session.ts'),
      import('../remote/warm-tasks.ts'),
    ])
    await using remote = await openRemoteSession(context, session, 'read')
    const source = { ...session, environment: context.environment, stdin: undefined }
    const report = await warmTasks(planAsked(context, session), source, remote.tier, context.signal)
    await say(context, remote.place, report)
    return report.tasks.some(({ state }) => state === 'failed') ? FAILED_EXIT : 0
  },
})

/** All tasks, or those that were named, and what they depend on. */
function planAsked({ args }: Context, session: Session): Plan {
  const names = args.length > 0 ? args : [...(session.project?.tasks.keys() ?? [])]
  if (names.length > 0) return planOf(names, session)
  throw new CacheError('usage', 'There are no tasks whose results could be fetched.', {
    hint: 'They stand in recue.config.json. Of a command line: recue run fetches what is there.',
  })
}

async function say({ options, output }: Context, place: string, { tasks, blobs, bytes }: WarmReport): Promise<void> {
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
