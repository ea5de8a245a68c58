import type { ActionDigest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import type { TransferReport } from '../../store/tiered/tiered.ts'
import { formatSize } from '../../units/size.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { REMOTE_ACCESS_OPTIONS } from '../remote-options.ts'
import { RUN_OPTIONS } from '../run-options.ts'

const OPTIONS = {
  all: { kind: 'flag', short: 'a', summary: 'All results that are kept here, of all projects.' },
  dryRun: { kind: 'flag', short: 'n', summary: 'Say what would be sent; ask nobody.' },
  cache: RUN_OPTIONS.cache,
  ...REMOTE_ACCESS_OPTIONS,
} as const
type Context = CommandContext<typeof OPTIONS>

const INCOMPLETE_EXIT = 1
/** The longest that a timer can be. */
const AS_LONG_AS_IT_TAKES_MS = 2 ** 31 - 1

export const command = defineCommand({
  name: 'push',
  summary: 'Send results to the remote cache',
  usage: ['push [TASK|KEY|last]… [--dry-run]', 'push --all'],
  description:
    'What is kept here of this project and what earlier commands had no time to send; or the last result of each task named, or those of the keys. ' +
    'What the remote cache has already is not sent again.\n' +
    'With --json: { place, results, blobs, bytes, absent: [key], failed: [{ key, why }], uploads }, where uploads are still to be sent; with --dry-run: { place, results, bytes }.',
  options: OPTIONS,
  arguments: { min: 0, max: Number.POSITIVE_INFINITY },
  examples: [
    { line: 'recue push', does: 'After work offline: all of this project.' },
    { line: 'recue push build', does: 'The last result of one task.' },
  ],
  exits: [{ code: INCOMPLETE_EXIT, means: 'Some of it could not be sent.' }],
  async run(context) {
    const { all, dryRun } = context.options
    if (all && context.args.length > 0) throw new CacheError('usage', '--all leaves nothing to be named.')
    await using session = await context.open({ evaluate: true })
    const [{ openRemoteSession }, { keptHere, namedResults }] = await Promise.all([
      import('../remote/remote-session.ts'),
      import('../remote/chosen-results.ts'),
    ])
    await using remote = await openRemoteSession(context, session, 'write')
    const keys =
      context.args.length > 0
        ? await namedResults(context.args, session)
        : (await keptHere(session, all ? 'all' : 'project')).map(({ action }) => action)
    if (dryRun) return sayPlan(context, session, { keys, place: remote.place })
    const report = await remote.tier.push(DEFAULT_SCOPE, keys, context.signal)
    const isAway = report.failed.length > 0 && report.actions === 0
    const { uploads } = await remote.tier.flush(isAway ? 0 : AS_LONG_AS_IT_TAKES_MS, context.signal)
    await say(context, report, { place: remote.place, uploads })
    return report.absent.length + report.failed.length + uploads > 0 ? INCOMPLETE_EXIT : 0
  },
})

interface Planned {
  readonly keys: readonly ActionDigest[]
  readonly place: string
}

async function sayPlan({ options, output }: Context, session: Session, { keys, place }: Planned): Promise<number> {
  const wanted = new Set(keys.map(({ hash }) => hash))
  let bytes = 0
  let count = 0
  for await (const { action, instance, contentBytes } of session.cache.catalog.list()) {
    if (instance !== '' || !wanted.has(action.hash)) continue
    bytes += contentBytes
    count++
  }
  if (options.json) output.json({ place, results: count, bytes })
  else {
    const { results } = await import('../remote/transfer-words.ts')
    output.stdout.line(
      `Would send ${results(count)} (${formatSize(bytes)}) to ${place}: what of it is not there already.`,
    )
  }
  return 0
}

async function say(
  { options, output }: Context,
  report: TransferReport,
  { place, uploads }: { readonly place: string; readonly uploads: number },
): Promise<void> {
  const { results, transferJson, transferLines } = await import('../remote/transfer-words.ts')
  if (options.json) return output.json({ place, ...transferJson(report), uploads })
  const lines = transferLines(report, { verb: 'Sent', to: ` to ${place}`, where: 'kept here' })
  if (uploads > 0) lines.push(`Still to be sent: ${results(uploads)}.`)
  for (const line of lines.length === 0 ? ['There is nothing to send.'] : lines) output.stdout.line(line)
}
