import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { defineCommand } from '../command.ts'
import { REMOTE_ACCESS_OPTIONS } from '../remote-options.ts'
import { RUN_OPTIONS } from '../run-options.ts'

const OPTIONS = {
  dryRun: { kind: 'flag', short: 'n', summary: 'Say what would be looked for; ask nobody.' },
  cache: RUN_OPTIONS.cache,
  ...REMOTE_ACCESS_OPTIONS,
} as const

const INCOMPLETE_EXIT = 1
const NOTHING_TO_DO = 'All that is known to have run is here. What the next run will need: recue warm.'

export const command = defineCommand({
  name: 'pull',
  summary: 'Fetch results from the remote cache',
  usage: ['pull [TASK|KEY|last]… [--dry-run]'],
  description:
    'Into the cache here, with all their files; no workspace is touched. Without words: what ran in this project and is not kept here any more. ' +
    'A key is its first digits, where it is known here, or HASH/SIZE. What the next run will need, recue warm fetches.\n' +
    'With --json: { place, results, blobs, bytes, absent: [key], failed: [{ key, why }] }; with --dry-run: { place, missing: [key] }.',
  options: OPTIONS,
  arguments: { min: 0, max: Number.POSITIVE_INFINITY },
  examples: [{ line: 'recue pull', does: 'Before a journey: what ran here, should it have been collected.' }],
  exits: [{ code: INCOMPLETE_EXIT, means: 'Some of it could not be fetched, or of what was named some is not there.' }],
  async run(context) {
    await using session = await context.open({ evaluate: true })
    const [{ openRemoteSession }, { namedResults, ranHere }, { transferJson, transferLines }] = await Promise.all([
      import('../remote/remote-session.ts'),
      import('../remote/chosen-results.ts'),
      import('../remote/transfer-words.ts'),
    ])
    await using remote = await openRemoteSession(context, session, 'read')
    const { args, options, output } = context
    const { place, tier } = remote
    const asked = args.length > 0 ? await namedResults(args, session) : ranHere(session)
    const keys = []
    for (const key of asked) {
      if ((await session.cache.actions.get(DEFAULT_SCOPE, key)).kind === 'miss') keys.push(key)
    }
    if (options.dryRun) {
      if (options.json) output.json({ place, missing: keys.map(({ hash }) => hash) })
      else output.stdout.line(`Would look for ${keys.length} of ${asked.length} at ${place}; the others are here.`)
      return 0
    }
    const report = await tier.pull(DEFAULT_SCOPE, keys, context.signal)
    if (options.json) output.json({ place, ...transferJson(report) })
    else {
      const lines = transferLines(report, { verb: 'Fetched', to: ` from ${place}`, where: `at ${place}` })
      for (const line of lines.length === 0 ? [NOTHING_TO_DO] : lines) output.stdout.line(line)
    }
    const isMissed = args.length > 0 && report.absent.length > 0
    return report.failed.length > 0 || isMissed ? INCOMPLETE_EXIT : 0
  },
})
